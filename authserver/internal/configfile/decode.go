package configfile

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// ErrBad means that a file is not valid. The text says where and why. It has no value of the file, which could be a
// secret.
var ErrBad = errors.New("configuration not usable")

// position is where something is in a file.
type position struct {
	file string
	line int
}

// String returns the position; the line is left out if it is unknown.
func (p position) String() string {
	if p.line == 0 {
		return p.file
	}
	return fmt.Sprintf("%s:%d", p.file, p.line)
}

// fault is ErrBad at a position.
type fault struct {
	at  position
	err error
}

// Error returns the position and what is wrong, as editors understand it.
func (f fault) Error() string { return f.at.String() + ": " + f.err.Error() }

// Unwrap returns what is wrong.
func (f fault) Unwrap() []error { return []error{ErrBad, f.err} }

// errorf returns ErrBad for what is at the position.
func (p position) errorf(format string, args ...any) error {
	return fault{p, fmt.Errorf(format, args...)}
}

// decoder decodes the nodes of a file into structs by their yaml tags. Unlike the decoder of package yaml it refuses
// aliases, null, and unquoted text that reads like a number. Its errors contain no values.
type decoder struct{ file string }

func (d decoder) at(n *yaml.Node) position { return position{d.file, n.Line} }

// placed is embedded in a struct that needs to know where it is.
type placed struct{ at position }

func (p *placed) place(at position) { p.at = at }

// decode decodes a node into a struct, a list, a text or a boolean. The name is for errors.
func (d decoder) decode(n *yaml.Node, name string, into reflect.Value) error {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		return d.at(n).errorf("%s: anchors and aliases are not supported: repeat the value", name)
	}
	switch into.Kind() {
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		return d.decode(n, name, into.Elem())
	case reflect.Struct:
		return d.decodeStruct(n, name, into)
	case reflect.Slice:
		return d.decodeList(n, name, into)
	case reflect.String:
		if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
			return d.at(n).errorf("%s must be text; put it into quotes if it reads like something else", name)
		}
		into.SetString(n.Value)
	case reflect.Bool:
		if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" || n.Value != "true" && n.Value != "false" {
			return d.at(n).errorf("%s must be true or false", name)
		}
		into.SetBool(n.Value == "true")
	default:
		return fmt.Errorf("%s cannot be decoded", into.Type()) // a bug in this package
	}
	return nil
}

func (d decoder) decodeList(n *yaml.Node, name string, into reflect.Value) error {
	if n.Kind != yaml.SequenceNode || n.Tag != "!!seq" {
		return d.at(n).errorf("%s must be a list", name)
	}
	for _, item := range n.Content {
		value := reflect.New(into.Type().Elem()).Elem()
		if err := d.decode(item, "an entry of "+name, value); err != nil {
			return err
		}
		into.Set(reflect.Append(into, value))
	}
	return nil
}

func (d decoder) decodeStruct(n *yaml.Node, name string, into reflect.Value) error {
	if n.Kind != yaml.MappingNode || n.Tag != "!!map" {
		return d.at(n).errorf("%s must have keys: %s", name, strings.Join(keysOf(into.Type()), ", "))
	}
	if p, ok := into.Addr().Interface().(interface{ place(at position) }); ok {
		p.place(d.at(n))
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		field, known := fieldOf(into, key.Value)
		switch {
		case key.Kind != yaml.ScalarNode || key.Tag != "!!str" || key.Anchor != "" || !known:
			return d.at(key).errorf("%s has an unknown key%s: it can have %s",
				name, shownKey(key), strings.Join(keysOf(into.Type()), ", "))
		case seen[key.Value]:
			return d.at(key).errorf("%s has the key %s twice", name, key.Value)
		}
		seen[key.Value] = true
		if err := d.decode(n.Content[i+1], key.Value, field); err != nil {
			return err
		}
	}
	return nil
}

// maxShownKey is the length up to which errors show a key: a longer one could be a secret at the wrong place.
const maxShownKey = 24

func shownKey(key *yaml.Node) string {
	if key.Kind != yaml.ScalarNode || len(key.Value) > maxShownKey {
		return ""
	}
	return fmt.Sprintf(" %q", key.Value)
}

// keysOf returns the keys of a struct.
func keysOf(t reflect.Type) (keys []string) {
	for i := range t.NumField() {
		if key, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ","); key != "" && key != "-" {
			keys = append(keys, key)
		}
	}
	return keys
}

// fieldOf returns the field of a struct with the key, and whether there is one.
func fieldOf(v reflect.Value, key string) (field reflect.Value, ok bool) {
	if !slices.Contains(keysOf(v.Type()), key) {
		return reflect.Value{}, false
	}
	for i := range v.NumField() {
		if name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ","); name == key {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}
