package catalog

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/language"
)

// Limits of what browsers and apps say about languages. More is ignored.
const (
	maxHeader  = 512 // bytes of Accept-Language
	maxLocales = 10  // of ui_locales
)

// Matcher finds the language of a person. It is safe for concurrent use.
type Matcher struct {
	names   []string // the default one first
	matcher language.Matcher
}

// NewMatcher returns a Matcher for Languages. It finds the default language, which must be one of them, for people who
// read none of Languages.
func NewMatcher(defaultLanguage string) (*Matcher, error) {
	i := slices.Index(Languages, defaultLanguage)
	if i < 0 {
		return nil, fmt.Errorf("there is no language %q, only %s", defaultLanguage, strings.Join(Languages, ", "))
	}
	names := slices.Concat([]string{defaultLanguage}, Languages[:i], Languages[i+1:])
	tags := make([]language.Tag, len(names))
	for i, name := range names {
		tags[i] = language.Make(name)
	}
	return &Matcher{names: names, matcher: language.NewMatcher(tags)}, nil
}

// Default returns the default language.
func (m *Matcher) Default() string { return m.names[0] }

// Locales returns the language for the value of ui_locales: language tags in the order of preference, separated by
// spaces (OpenID Connect Core section 3.1.2.1). It returns false if none of them is known.
func (m *Matcher) Locales(text string) (string, bool) {
	fields := strings.Fields(text)
	for _, field := range fields[:min(len(fields), maxLocales)] {
		if tag, err := language.Parse(field); err == nil {
			if name, ok := m.find(tag); ok {
				return name, true
			}
		}
	}
	return "", false
}

// Header returns the language for the value of Accept-Language (RFC 9110 section 12.5.4), or the default one.
func (m *Matcher) Header(text string) string {
	if len(text) > maxHeader {
		return m.Default()
	}
	tags, _, err := language.ParseAcceptLanguage(text)
	if err != nil {
		return m.Default()
	}
	if name, ok := m.find(tags...); ok {
		return name
	}
	return m.Default()
}

// find returns the language that fits the tags, which are in the order of preference.
func (m *Matcher) find(tags ...language.Tag) (string, bool) {
	_, i, confidence := m.matcher.Match(tags...)
	return m.names[i], confidence > language.No
}
