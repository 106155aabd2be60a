// Package strictjson decodes the JSON of tokens and keys. It refuses input that other programs could read
// differently.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Errors of Unmarshal and Object.
var (
	// ErrRepeated reports two members of the same name in one object.
	ErrRepeated = errors.New("a member is repeated")

	errSyntax = errors.New("it is not JSON, or nested too deeply")
	errType   = errors.New("a member has the wrong type")
)

// Unmarshal is json.Unmarshal with two differences:
//
//   - An object with two members of the same name is an error (RFC 7519 section 4, RFC 7515 section 4 and
//     RFC 7517 section 4).
//   - Names are compared exactly. encoding/json ignores case and would read AUD as aud, but claim names are
//     case-sensitive (RFC 7519 section 10.1.1).
//
// The names of v's fields must consist of lower-case letters, digits and underscores. The error never
// quotes the input.
func Unmarshal(data []byte, v any) error {
	exact, err := reduce(data)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(exact, v); err != nil {
		return errType
	}
	return nil
}

// Object returns the unparsed members of an object by name. Repeated members are an error, as for
// Unmarshal.
func Object(data []byte) (map[string]json.RawMessage, error) {
	if _, err := reduce(data); err != nil {
		return nil, err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return nil, errType
	}
	return members, nil
}

// reduce returns the JSON without the members that match no field: see fieldName.
func reduce(data []byte) ([]byte, error) {
	if !json.Valid(data) { // also bounds the depth
		return nil, errSyntax
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var exact bytes.Buffer
	err := copyValue(&exact, d)
	return exact.Bytes(), err
}

// copyValue copies the next value of d to w, without the members that match no field.
func copyValue(w *bytes.Buffer, d *json.Decoder) error {
	t, err := d.Token()
	if err != nil {
		return errSyntax
	}
	switch t {
	case json.Delim('{'):
		return copyObject(w, d)
	case json.Delim('['):
		return copyArray(w, d)
	}
	text, err := json.Marshal(t)
	w.Write(text)
	return err
}

// copyObject copies the rest of an object.
func copyObject(w *bytes.Buffer, d *json.Decoder) error {
	w.WriteByte('{')
	names := map[string]bool{}
	separator := ""
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return errSyntax
		}
		if names[name] {
			return ErrRepeated
		}
		names[name] = true
		end := w.Len()
		fmt.Fprintf(w, "%s%q:", separator, name) // names that Go and JSON quote differently are dropped below
		if err := copyValue(w, d); err != nil {
			return err
		}
		if !fieldName(name) {
			w.Truncate(end)
			continue
		}
		separator = ","
	}
	_, err := d.Token()
	w.WriteByte('}')
	return err
}

// copyArray copies the rest of an array.
func copyArray(w *bytes.Buffer, d *json.Decoder) error {
	w.WriteByte('[')
	for i := 0; d.More(); i++ {
		if i > 0 {
			w.WriteByte(',')
		}
		if err := copyValue(w, d); err != nil {
			return err
		}
	}
	_, err := d.Token()
	w.WriteByte(']')
	return err
}

// fieldName reports whether a field may have the name.
func fieldName(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_'
	})
}
