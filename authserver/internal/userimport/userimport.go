// Package userimport reads users from files: CSV and JSON lines in a format of our own, and the exports of Keycloak,
// Supabase Auth and Auth0. It reads one user at a time, so memory does not grow with the file.
package userimport

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
)

// Format is the format of a file.
type Format string

// The formats of files.
const (
	Auto     Format = "auto"
	CSV      Format = "csv"
	JSONL    Format = "jsonl"
	Keycloak Format = "keycloak"
	Supabase Format = "supabase"
	Auth0    Format = "auth0"
)

// maxUser is the longest line or JSON text of a user, in bytes.
const maxUser = 1 << 20

// Errors of files.
var (
	// ErrFormat is returned for a file that is not of the format, so that none of its users can be read.
	ErrFormat = errors.New("the file cannot be read")
	// errUnclear means that the beginning of a file does not tell its format.
	errUnclear = fmt.Errorf("%w: it is not clear which format it has: "+
		"give --format csv, jsonl, keycloak, supabase or auth0", ErrFormat)
	// errTooLong means that a line or a user is longer than maxUser.
	errTooLong = fmt.Errorf("it is longer than %d KiB", maxUser>>10)
)

// Entry is a user in a file.
type Entry struct {
	// Where is where the user is, such as "line 7".
	Where string
	User  admin.ImportedUser
	// SecondFactor says that the user has a second factor, which is not read.
	SecondFactor bool
	// Err is why the user cannot be read, or nil. The next users can be read nonetheless.
	Err error
}

// Reader reads the users of a file.
type Reader interface {
	// Next returns the next user, io.EOF after the last one, or an error after which nothing else can be read: of the
	// file, or one that wraps ErrFormat.
	Next() (Entry, error)
}

// peekSize is how much of a file is read to detect its format.
const peekSize = 64 << 10

// Options say how a file is read.
type Options struct {
	Format Format
	// Passwords, unless nil, is the password export of Auth0. Open reads all of it and keeps it in memory.
	Passwords io.Reader
	// Now is the time at which it is decided whether a user of Supabase is banned.
	Now time.Time
}

// Open returns a reader of a file, and its format. For Auto it looks at the beginning of the file. The error may wrap
// ErrFormat.
func Open(file io.Reader, o Options) (Reader, Format, error) {
	format := o.Format
	in := bufio.NewReaderSize(file, maxUser)
	beginning, err := in.Peek(peekSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, format, err
	}
	if bytes.HasPrefix(beginning, []byte("\ufeff")) {
		_, _ = in.Discard(len("\ufeff"))
		beginning = beginning[len("\ufeff"):]
	}
	if format == Auto {
		if format, err = detect(beginning); err != nil {
			return nil, Auto, err
		}
	}
	if o.Passwords != nil && format != Auth0 {
		return nil, format, fmt.Errorf("%w: a file of passwords belongs to an export of Auth0, but this is %s",
			ErrFormat, format)
	}
	r, err := o.open(in, format, firstByte(beginning))
	return r, format, err
}

// open returns a reader of a file in a format. first is its first character.
func (o Options) open(in *bufio.Reader, format Format, first byte) (Reader, error) {
	supabase := supabaseRows{now: o.Now}
	switch {
	case format == CSV:
		return newCSV(in, ownColumns, ownRow)
	case format == JSONL:
		return &lines{in: in, parse: ownLine}, nil
	case format == Keycloak:
		return newArray(in, "users", keycloakUser), nil
	case format == Supabase && first == '[':
		return newArray(in, "", supabase.json), nil
	case format == Supabase && first == '{':
		return &lines{in: in, parse: supabase.json}, nil
	case format == Supabase:
		return newCSV(in, nil, supabase.row)
	}
	return newAuth0(in, o.Passwords)
}

// firstByte returns the first byte that is not space, or zero.
func firstByte(text []byte) byte {
	if text = bytes.TrimLeft(text, " \t\r\n"); len(text) > 0 {
		return text[0]
	}
	return 0
}

// detect returns the format of a file by its beginning.
func detect(beginning []byte) (Format, error) {
	line, _, _ := bytes.Cut(bytes.TrimLeft(beginning, " \t\r\n"), []byte("\n"))
	switch firstByte(beginning) {
	case 0:
		return "", fmt.Errorf("%w: it is empty", ErrFormat)
	case '{', '[':
		return detectJSON(beginning, line)
	}
	header := strings.ToLower(string(line))
	switch {
	case strings.Contains(header, "encrypted_password"):
		return Supabase, nil
	case strings.Contains(header, "username") || strings.Contains(header, "email"):
		return CSV, nil
	}
	return "", errUnclear
}

// detectJSON is detect for JSON, of which line is the first line.
func detectJSON(beginning, line []byte) (Format, error) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(line, &fields) != nil {
		fields = nil
	}
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { _, ok := fields[name]; return ok })
	}
	contains := func(name string) bool { return bytes.Contains(beginning, []byte(`"`+name+`"`)) }
	switch {
	case has("user_id", "passwordHash"):
		return Auth0, nil
	case has("encrypted_password"):
		return Supabase, nil
	case has("users", "realm"):
		return Keycloak, nil
	case has("username", "email"):
		return JSONL, nil
	case firstByte(beginning) == '[' && contains("encrypted_password"):
		return Supabase, nil
	case firstByte(beginning) == '{' && fields == nil && (contains("realm") || contains("users")):
		return Keycloak, nil
	}
	return "", errUnclear
}
