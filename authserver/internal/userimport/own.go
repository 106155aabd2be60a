package userimport

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
)

// ownSource is the source of users with an id in a file of our own format.
const ownSource = "file"

// ownColumns are the columns of a CSV file, and the members of a JSON line.
var ownColumns = []string{
	"username", "name", "email", "email_verified", "groups", "disabled", "password_hash", "id", "created_at",
}

// ownLine reads a JSON line.
func ownLine(text []byte, e *Entry) {
	var line struct {
		Username     string    `json:"username"`
		Name         string    `json:"name"`
		Email        string    `json:"email"`
		Verified     bool      `json:"email_verified"`
		Groups       []string  `json:"groups"`
		Disabled     bool      `json:"disabled"`
		PasswordHash string    `json:"password_hash"`
		ID           string    `json:"id"`
		CreatedAt    time.Time `json:"created_at"`
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&line); err != nil {
		e.Err = jsonFault(err)
		return
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		e.Err = errors.New("it has something after the JSON object")
		return
	}
	e.User = admin.ImportedUser{
		Source: ownSource, SourceID: line.ID, Username: line.Username, Name: line.Name,
		Email: line.Email, EmailVerified: line.Verified, Groups: line.Groups, Disabled: line.Disabled,
		PasswordHash: line.PasswordHash, CreatedAt: line.CreatedAt,
	}
}

// jsonFault returns what is wrong with JSON, without a value of it: that may be a hash.
func jsonFault(err error) error {
	var wrongType *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	var badTime *time.ParseError
	switch {
	case errors.As(err, &wrongType):
		return fmt.Errorf("%q must not be a JSON %s", wrongType.Field, strings.Fields(wrongType.Value + " value")[0])
	case errors.As(err, &syntax):
		return fmt.Errorf("it is not JSON, from byte %d on", syntax.Offset)
	case errors.As(err, &badTime):
		return errors.New("a time must be like 2026-03-01T12:00:00Z")
	case strings.HasPrefix(err.Error(), "json: unknown field "):
		return fmt.Errorf("%s is not known: the members are %s",
			strings.TrimPrefix(err.Error(), "json: unknown field "), strings.Join(ownColumns, ", "))
	}
	return errors.New("it is not a JSON object")
}

// ownRow reads a row of a CSV file.
func ownRow(row map[string]string, e *Entry) {
	e.User = admin.ImportedUser{
		Source: ownSource, SourceID: row["id"], Username: row["username"], Name: row["name"], Email: row["email"],
		Groups: strings.Fields(row["groups"]), PasswordHash: row["password_hash"],
	}
	var err1, err2, err3 error
	e.User.EmailVerified, err1 = parseBool("email_verified", row["email_verified"])
	e.User.Disabled, err2 = parseBool("disabled", row["disabled"])
	e.User.CreatedAt, err3 = parseTime("created_at", row["created_at"])
	e.Err = cmp.Or(err1, err2, err3)
}

// parseBool parses a boolean: true or false, 1 or 0, t or f. An empty text is false.
func parseBool(name, text string) (bool, error) {
	if text == "" {
		return false, nil
	}
	value, err := strconv.ParseBool(text)
	if err != nil {
		return false, fmt.Errorf("%s must be true or false", name)
	}
	return value, nil
}

// timeFormats are those of RFC 3339 and of PostgreSQL.
var timeFormats = []string{
	time.RFC3339, "2006-01-02 15:04:05Z07", "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05Z07",
}

// parseTime parses a time. An empty text is the zero time.
func parseTime(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, format := range timeFormats {
		if t, err := time.Parse(format, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s must be a time like 2026-03-01T12:00:00Z", name)
}

// values returns the members of a JSON object as texts: a string as it is, null as an empty text, and others as JSON.
func values(text []byte) (map[string]string, error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, jsonFault(err)
	}
	row := make(map[string]string, len(raw))
	for name, value := range raw {
		var s string
		switch {
		case string(value) == "null":
		case json.Unmarshal(value, &s) == nil:
			row[name] = s
		default:
			row[name] = string(value)
		}
	}
	return row, nil
}
