// Package catalog has the texts of the pages in the languages that people read.
//
// The English text of a message is its key. texts/LANGUAGE.json has the translations, for a translator to edit. A text
// has placeholders, such as {app}; those of a translation are the same in any order. A text that depends on a number is
// an object with the plural forms of the language: see https://www.unicode.org/cldr/charts/latest/supplemental/
// language_plural_rules.html.
package catalog

import (
	"embed"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

// English is the language of the keys.
const English = "en"

// Languages are the languages of the texts, by their BCP 47 tags.
var Languages = []string{English, "ko", "de", "es"}

//go:embed texts
var files embed.FS

// placeholder matches a placeholder in a text.
var placeholder = regexp.MustCompile(`\{[a-z]+\}`)

// entry is a text in a language by plural form. It always has the form "other".
type entry map[string]string

// Catalog has texts by language and key. It is safe for concurrent use.
type Catalog struct {
	texts map[string]map[string]entry
}

// BuiltIn returns the catalog of the built-in texts.
var BuiltIn = sync.OnceValue(func() *Catalog {
	c := &Catalog{texts: map[string]map[string]entry{}}
	for _, name := range Languages {
		file, err := files.ReadFile("texts/" + name + ".json")
		if err == nil {
			c.texts[name], err = parse(file)
		}
		if err != nil {
			panic(fmt.Sprintf("texts/%s.json: %v", name, err))
		}
	}
	return c
})

// With returns a catalog that has the texts of a file in place of its own in a language. The file has the form of those
// in texts/. The error names a key that no text has, or whose placeholders differ.
func (c *Catalog) With(name string, file []byte) (*Catalog, error) {
	if !slices.Contains(Languages, name) {
		return nil, fmt.Errorf("there is no language %q, only %s", name, strings.Join(Languages, ", "))
	}
	entries, err := parse(file)
	if err != nil {
		return nil, err
	}
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		if !c.has(key) {
			return nil, fmt.Errorf("no text has the key %q", key)
		}
	}
	changed := &Catalog{texts: maps.Clone(c.texts)}
	changed.texts[name] = maps.Clone(c.texts[name])
	maps.Copy(changed.texts[name], entries)
	return changed, nil
}

// has reports whether a key is known. The English file has only the keys whose text differs from the key.
func (c *Catalog) has(key string) bool {
	return slices.ContainsFunc(Languages, func(name string) bool { return c.texts[name][key] != nil })
}

// Text returns a message in a language, without markup. It returns an empty text for no message.
func (c *Catalog) Text(name string, m *Message) string {
	var text strings.Builder
	for _, p := range c.Parts(name, m) {
		switch value := p.Value.(type) {
		case nil:
			text.WriteString(p.Text)
		case *Message:
			text.WriteString(c.Text(name, value))
		default:
			fmt.Fprint(&text, value)
		}
	}
	return text.String()
}

// Parts returns the parts of a message in a language. A placeholder without an argument stays as it is.
func (c *Catalog) Parts(name string, m *Message) []Part {
	switch {
	case m == nil:
		return nil
	case m.verbatim:
		return []Part{{Text: m.key}}
	}
	text := c.form(name, m)
	names := placeholder.FindAllString(m.key, -1)
	var parts []Part
	end := 0
	for _, at := range placeholder.FindAllStringIndex(text, -1) {
		i := slices.Index(names, text[at[0]:at[1]])
		if i < 0 || i >= len(m.args) {
			continue
		}
		parts = append(parts, Part{Text: text[end:at[0]]}, Part{Value: m.args[i]})
		end = at[1]
	}
	return append(parts, Part{Text: text[end:]})
}

// form returns the text of a message in a language, in the plural form for the first number of its arguments. Without
// a translation, that is the English text.
func (c *Catalog) form(name string, m *Message) string {
	found := c.texts[name][m.key]
	if found == nil {
		name, found = English, c.texts[English][m.key]
	}
	if found == nil {
		return m.key
	}
	for _, arg := range m.args {
		if n, ok := arg.(int); ok {
			if text, ok := found[pluralForm(name, n)]; ok {
				return text
			}
			break
		}
	}
	return found[other]
}

// other is the plural form that every language has.
const other = "other"

// formNames are the names of the plural forms in files (Unicode TR 35 part 3).
var formNames = map[plural.Form]string{
	plural.Other: other, plural.Zero: "zero", plural.One: "one", plural.Two: "two", plural.Few: "few", plural.Many: "many",
}

// pluralForm returns the plural form of a number in a language.
func pluralForm(name string, n int) string {
	return formNames[plural.Cardinal.MatchPlural(language.Make(name), max(n, -n), 0, 0, 0, 0)]
}
