// Package items keeps the items of the API's callers in SQLite or PostgreSQL.
//
// Each owner has numbered items. An item that was never written, or was deleted, is not stored. Every write
// gives an item another tag, so that a [Condition] can refuse to overwrite a change that the caller has not
// seen. Writes of one owner happen one after the other.
package items

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits of items.
const (
	// MaxTitle and MaxNote limit a title and a note, in characters.
	MaxTitle = 200
	MaxNote  = 10_000
	// MaxItems is how many items an owner may have.
	MaxItems = 10_000
	// MaxKeys is how many idempotency keys of an owner are remembered at once.
	MaxKeys = 10_000
	// KeyLifetime is how long an idempotency key is remembered.
	KeyLifetime = 24 * time.Hour
)

// Errors of the Store, besides database.ErrUnavailable.
var (
	// ErrNotFound means that the item is not written.
	ErrNotFound = errors.New("item not found")
	// ErrCondition means that the condition of a write does not hold.
	ErrCondition = errors.New("the item is not in the state that the request is for")
	// ErrTooMany means that the owner has MaxItems items.
	ErrTooMany = fmt.Errorf("there are %d items already, and no more are allowed", MaxItems)
	// ErrTooManyKeys means that the owner has used MaxKeys idempotency keys within KeyLifetime.
	ErrTooManyKeys = fmt.Errorf("%d idempotency keys were used within %.0f hours", MaxKeys, KeyLifetime.Hours())
	// ErrKeyReused means that an idempotency key was used before, for another request.
	ErrKeyReused = errors.New("the idempotency key was used for another request")
)

// Owner is who has items.
type Owner struct {
	ID   string // the subject of the owner's tokens
	Name string // the username; empty if it is unknown
}

// Item is an item that was written.
type Item struct {
	Owner     Owner
	Number    int64
	Title     string
	Note      string
	Tag       string // of this state: each write makes a new one
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Draft is what an owner writes.
type Draft struct {
	Title string `json:"title"`
	Note  string `json:"note"`
}

// FieldError says which field of a draft is invalid.
type FieldError struct {
	Field   string // title or note
	Message string
}

// Error returns the field and the message.
func (e *FieldError) Error() string { return e.Field + " " + e.Message }

// Check returns a *FieldError if the draft cannot be stored.
func (d Draft) Check() error {
	switch {
	case strings.TrimSpace(d.Title) == "":
		return &FieldError{"title", "must not be empty"}
	case utf8.RuneCountInString(d.Title) > MaxTitle:
		return &FieldError{"title", fmt.Sprintf("must have at most %d characters", MaxTitle)}
	case strings.ContainsFunc(d.Title, unicode.IsControl):
		return &FieldError{"title", "must not contain control characters"}
	case utf8.RuneCountInString(d.Note) > MaxNote:
		return &FieldError{"note", fmt.Sprintf("must have at most %d characters", MaxNote)}
	case strings.ContainsFunc(d.Note, isControlInNote):
		return &FieldError{"note", "must not contain control characters besides line breaks and tabs"}
	}
	return nil
}

func isControlInNote(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\n\r\t", r) }

// fold returns a text in the case in which texts are compared.
func fold(text string) string { return strings.ToLower(text) }

// Key is an idempotency key of a request. The zero value means that the request has no key.
type Key struct {
	digest  string // of the key
	request string // of what is asked for
}

// NewKey returns the key of a request for a new item.
func NewKey(key string, d Draft) (Key, error) {
	request, err := json.Marshal(d)
	if err != nil {
		return Key{}, err
	}
	return Key{digest: digest([]byte(key)), request: digest(request)}, nil
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// newTag returns a tag that no item has had.
func newTag() string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(random[:])
}
