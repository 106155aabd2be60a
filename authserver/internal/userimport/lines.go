package userimport

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// lines reads a file of which each line is the JSON text of a user.
type lines struct {
	in     *bufio.Reader // with a buffer of maxUser
	number int
	parse  func(text []byte, e *Entry)
}

// Next implements Reader.
func (l *lines) Next() (Entry, error) {
	for {
		text, err := l.in.ReadSlice('\n')
		l.number++
		e := Entry{Where: "line " + strconv.Itoa(l.number)}
		if errors.Is(err, bufio.ErrBufferFull) {
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = l.in.ReadSlice('\n')
			}
			if err != nil && !errors.Is(err, io.EOF) {
				return Entry{}, err
			}
			e.Err = errTooLong
			return e, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return Entry{}, err
		}
		if text = bytes.TrimSpace(text); len(text) > 0 {
			l.parse(text, &e)
			return e, nil
		}
		if err != nil {
			return Entry{}, io.EOF
		}
	}
}

// budget is a reader that fails with errTooLong when no bytes are left, unless it is refilled.
type budget struct {
	in   io.Reader
	left int
}

// Read implements io.Reader.
func (b *budget) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.in.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// csvFile reads a CSV file with a header.
type csvFile struct {
	in      *csv.Reader
	budget  *budget
	columns []string
	parse   func(row map[string]string, e *Entry)
}

// maxColumns is how many columns a CSV file has at most. The tables of other systems have fewer than 100.
const maxColumns = 1000

// newCSV reads the header. Its columns must be among known, unless that is nil.
func newCSV(in io.Reader, known []string, parse func(map[string]string, *Entry)) (Reader, error) {
	b := &budget{in: in, left: maxUser}
	f := &csvFile{in: csv.NewReader(b), budget: b, parse: parse}
	header, err := f.in.Read()
	if err != nil {
		return nil, fmt.Errorf("%w: the header: %w", ErrFormat, err)
	}
	if len(header) > maxColumns {
		return nil, fmt.Errorf("%w: the header has more than %d columns", ErrFormat, maxColumns)
	}
	for _, column := range header {
		column = strings.ToLower(strings.TrimSpace(column))
		if known != nil && !slices.Contains(known, column) {
			return nil, fmt.Errorf("%w: the column %q is not known: the columns are %s", ErrFormat, column,
				strings.Join(known, ", "))
		}
		if slices.Contains(f.columns, column) {
			return nil, fmt.Errorf("%w: the column %q is there twice", ErrFormat, column)
		}
		f.columns = append(f.columns, column)
	}
	if !slices.Contains(f.columns, "email") && !slices.Contains(f.columns, "username") {
		return nil, fmt.Errorf("%w: the header has neither username nor email", ErrFormat)
	}
	f.in.FieldsPerRecord = len(header)
	return f, nil
}

// Next implements Reader.
func (f *csvFile) Next() (Entry, error) {
	f.budget.left = maxUser
	record, err := f.in.Read()
	var syntax *csv.ParseError
	switch {
	case errors.Is(err, errTooLong):
		return Entry{}, fmt.Errorf("%w: the row after the last one that was read: %w; is a quote not closed?",
			ErrFormat, errTooLong)
	case errors.As(err, &syntax):
		return Entry{Where: "line " + strconv.Itoa(syntax.StartLine), Err: syntax.Err}, nil
	case err != nil:
		return Entry{}, err
	}
	line, _ := f.in.FieldPos(0)
	e := Entry{Where: "line " + strconv.Itoa(line)}
	row := make(map[string]string, len(record))
	for i, value := range record {
		row[f.columns[i]] = value
	}
	f.parse(row, &e)
	return e, nil
}

// array reads the users in a JSON array: that of a member of the object in the file, or the whole file.
type array struct {
	in     *json.Decoder
	budget *budget
	member string
	number int
	opened bool // the first token was read
	inside bool // the next token is a user or the end of the array
	parse  func(text []byte, e *Entry)
}

func newArray(in io.Reader, member string, parse func([]byte, *Entry)) *array {
	b := &budget{in: in, left: maxUser}
	return &array{in: json.NewDecoder(b), budget: b, member: member, parse: parse}
}

// Next implements Reader.
func (a *array) Next() (Entry, error) {
	for !a.inside || !a.more() {
		if a.inside {
			if _, err := a.token(); err != nil { // the end of the array
				return Entry{}, err
			}
			a.inside = false
		}
		if a.opened && a.member == "" {
			return Entry{}, a.end()
		}
		if err := a.enter(); err != nil {
			return Entry{}, err
		}
	}
	var text json.RawMessage
	if err := a.in.Decode(&text); err != nil {
		return Entry{}, a.fault(err)
	}
	a.number++
	e := Entry{Where: "user " + strconv.Itoa(a.number)}
	a.parse(text, &e)
	return e, nil
}

// enter reads until the array begins. It returns io.EOF at the end of the file.
func (a *array) enter() error {
	if !a.opened {
		a.opened = true
		want := json.Delim('{')
		if a.member == "" {
			want, a.inside = '[', true
		}
		if t, err := a.token(); err != nil || t != want {
			return a.fault(errors.Join(err, fmt.Errorf("it does not begin with %s", want)))
		}
	}
	for !a.inside && a.more() { // the members of the object
		name, err := a.token()
		if err != nil {
			return err
		}
		value, err := a.token()
		if err != nil {
			return err
		}
		switch {
		case value == json.Delim('[') && name == a.member:
			a.inside = true
		case value == json.Delim('[') || value == json.Delim('{'):
			if err := a.skip(1); err != nil {
				return err
			}
		}
	}
	if a.inside {
		return nil
	}
	return a.end()
}

// end reads what comes after the last member or user. It returns io.EOF at the end of the file.
func (a *array) end() error {
	if a.member != "" {
		if _, err := a.token(); err != nil {
			return err
		}
	}
	a.budget.left = maxUser
	switch _, err := a.in.Token(); {
	case err == nil:
		return a.fault(errors.New("something follows the end"))
	case errors.Is(err, io.EOF):
		return io.EOF
	default:
		return a.fault(err)
	}
}

// token returns the next token of JSON. The file must not end before.
func (a *array) token() (json.Token, error) {
	a.budget.left = maxUser
	t, err := a.in.Token()
	return t, a.fault(err)
}

// more reports whether the array goes on.
func (a *array) more() bool {
	a.budget.left = maxUser
	return a.in.More()
}

// skip reads to the end of depth nested arrays and objects.
func (a *array) skip(depth int) error {
	for depth > 0 {
		t, err := a.token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('['), json.Delim('{'):
			depth++
		case json.Delim(']'), json.Delim('}'):
			depth--
		}
	}
	return nil
}

// fault returns an error with the place in the file. It returns nil for nil.
func (a *array) fault(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w: byte %d, after user %d: %w", ErrFormat, a.in.InputOffset(), a.number, err)
}
