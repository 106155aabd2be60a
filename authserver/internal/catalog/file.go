package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of a file with texts.
const (
	// MaxFile is the maximum size of a file, in bytes.
	MaxFile = 256 << 10
	maxText = 2000 // bytes
)

// parse reads a file: an object with a text, or an object of plural forms, for each key. The error names the key.
func parse(file []byte) (map[string]entry, error) {
	if len(file) > MaxFile {
		return nil, fmt.Errorf("the file is larger than %d bytes", MaxFile)
	}
	if !utf8.Valid(file) {
		return nil, errors.New("the file is not UTF-8")
	}
	entries := map[string]entry{}
	d := json.NewDecoder(bytes.NewReader(file))
	if err := members(d, func(key string) error {
		if entries[key] != nil {
			return fmt.Errorf("%q is there twice", key)
		}
		e, err := parseEntry(d)
		if err == nil {
			err = e.check(key)
		}
		entries[key] = e
		if err != nil {
			return fmt.Errorf("%q: %w", key, err)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON object")
	}
	return entries, nil
}

// members reads an object and calls read for each key, to read the value.
func members(d *json.Decoder, read func(key string) error) error {
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return errors.New("it must be a JSON object")
	}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return fmt.Errorf("it is not JSON: %w", err)
		}
		if err := read(token.(string)); err != nil { //nolint:forcetypeassert // the decoder refuses other keys
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("it is not JSON: %w", err)
	}
	return nil
}

// parseEntry reads the value of a key.
func parseEntry(d *json.Decoder) (entry, error) {
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, fmt.Errorf("it is not JSON: %w", err)
	}
	forms, ok := value.(map[string]any)
	if !ok {
		forms = map[string]any{other: value}
	}
	e := entry{}
	for form, value := range forms {
		text, ok := value.(string)
		if !ok {
			return nil, errors.New("the value must be a text, or an object of texts by plural form")
		}
		e[form] = text
	}
	return e, nil
}

// check returns what is wrong with the texts of a key.
func (e entry) check(key string) error {
	if _, ok := e[other]; !ok {
		return fmt.Errorf("the plural form %q is missing", other)
	}
	known := slices.Sorted(maps.Values(formNames))
	for _, form := range slices.Sorted(maps.Keys(e)) {
		text := e[form]
		switch {
		case !slices.Contains(known, form):
			return fmt.Errorf("there is no plural form %q, only %s", form, strings.Join(known, ", "))
		case strings.TrimSpace(text) == "":
			return errors.New("the text is empty")
		case len(text) > maxText:
			return fmt.Errorf("the text is longer than %d bytes", maxText)
		case strings.ContainsFunc(text, unicode.IsControl):
			return errors.New("the text has a line break or another control character")
		case !slices.Equal(placeholders(text), placeholders(key)):
			return fmt.Errorf("the text has the placeholders [%s], and must have [%s]",
				strings.Join(placeholders(text), " "), strings.Join(placeholders(key), " "))
		}
	}
	return nil
}

// placeholders returns the placeholders in a text, in alphabetical order. Each brace belongs to one.
func placeholders(text string) []string {
	found := placeholder.FindAllString(text, -1)
	if rest := placeholder.ReplaceAllString(text, ""); strings.ContainsAny(rest, "{}") {
		found = append(found, "a brace without one")
	}
	slices.Sort(found)
	return found
}
