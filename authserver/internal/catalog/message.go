package catalog

// Message is a text for people that has no language yet. A nil *Message is no text. Messages cannot be changed, so they
// are safe for concurrent use.
type Message struct {
	key      string
	args     []any
	verbatim bool
}

// Say returns the message of an English text, which is its key in the catalogs. The arguments are the values of the
// placeholders, such as {app}, in the order in which the English text has them: texts, whole numbers, or messages. A
// number also selects the plural form.
//
// The key must be a constant, so that a test finds it and its translations.
func Say(key string, args ...any) *Message { return &Message{key: key, args: args} }

// Verbatim returns a message that is the same in all languages, such as a text that an administrator wrote.
func Verbatim(text string) *Message { return &Message{key: text, verbatim: true} }

// English returns the message in English, for logs and for developers. It returns an empty text for no message.
func (m *Message) English() string { return BuiltIn().Text(English, m) }

// Part is a part of a message in a language: a text, or a value that takes the place of a placeholder.
type Part struct {
	// Text is the text; empty for a value.
	Text string
	// Value is the argument of the message; nil for a text.
	Value any
}
