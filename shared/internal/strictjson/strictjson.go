// Package strictjson decodes the JSON of tokens and keys. It refuses input that other programs could read
// differently.
package strictjson

import (
	stdjson "encoding/json"
	"errors"

	"github.com/go-json-experiment/json" // encoding/json/v2 of Go 1.27, for Go 1.26
	"github.com/go-json-experiment/json/jsontext"
)

// Errors of Unmarshal and Object.
var (
	// ErrRepeated reports two members of the same name in one object.
	ErrRepeated = errors.New("a member is repeated")

	errSyntax = errors.New("it is not JSON, or nested too deeply")
	errType   = errors.New("a member has the wrong type")
)

// Unmarshal is json.Unmarshal with three differences:
//
//   - An object with two members of the same name is an error (RFC 7519 section 4, RFC 7515 section 4 and
//     RFC 7517 section 4).
//   - Names are compared exactly. encoding/json ignores case and would read AUD as aud, but claim names are
//     case-sensitive (RFC 7519 section 10.1.1).
//   - Text that is not UTF-8 is an error (RFC 8259 section 8.1).
//
// The error never quotes the input.
func Unmarshal(data []byte, v any) error {
	err := json.Unmarshal(data, v)
	var syntax *jsontext.SyntacticError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jsontext.ErrDuplicateName):
		return ErrRepeated
	case errors.As(err, &syntax):
		return errSyntax
	}
	return errType
}

// Object returns the unparsed members of an object by name. Repeated members are an error, as for
// Unmarshal.
func Object(data []byte) (map[string]stdjson.RawMessage, error) {
	var members map[string]stdjson.RawMessage
	if err := Unmarshal(data, &members); err != nil {
		return nil, err
	}
	return members, nil
}
