package token

import (
	"errors"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/hallpass-auth/hallpass/shared/internal/strictjson"
	"github.com/hallpass-auth/hallpass/shared/oauth"
)

// Type is the typ header of an access token (RFC 9068 section 2.1).
const Type = "at+jwt"

// UserPrefix begins the subject of every token that is issued for a user. No client id begins with it, so
// a client cannot be mistaken for a user.
const UserPrefix = "usr_"

// Claims are the claims of a token. Those that a Verifier returns are shared between requests and must
// not be changed.
type Claims struct {
	// Issuer is the authorization server's identifier.
	Issuer string
	// Subject is the id of the user, or of the client where no user is involved.
	Subject string
	// Audience holds the identifiers of the APIs that the token is for.
	Audience []string
	// ClientID names the client the token was issued to.
	ClientID string
	// ID is the token's id (jti).
	ID string
	// IssuedAt, NotBefore (zero if absent) and ExpiresAt have a resolution of one second.
	IssuedAt, NotBefore, ExpiresAt time.Time
	// Scope is what the token allows.
	Scope oauth.Scope
	// Username and Name are the user's (preferred_username, name). Both are empty without the scope
	// profile, and in a token that a client got for itself: see IsUser.
	Username, Name string
	// Status refers to the bit that revokes the token; nil without the claim status.
	Status *Status
}

// IsUser reports whether the token was issued for a user. It is false for a token that a client got for
// itself, with the client credentials grant.
func (c *Claims) IsUser() bool { return strings.HasPrefix(c.Subject, UserPrefix) }

// Status is the status_list member of the status claim (draft-ietf-oauth-status-list).
type Status struct {
	// Index is the token's place in the list.
	Index int64
	// URI is where the list is published.
	URI string
}

// wire is the JSON form of Claims.
type wire struct {
	jwt.RegisteredClaims
	ClientID string      `json:"client_id"`
	Scope    string      `json:"scope,omitempty"`
	Username string      `json:"preferred_username,omitempty"`
	Name     string      `json:"name,omitempty"`
	Status   *wireStatus `json:"status,omitempty"`
}

type wireStatus struct {
	List *wireReference `json:"status_list,omitempty"`
}

// wireReference is the JSON form of Status. Both members are required. They are nil if absent, because a
// missing index must not be read as 0, which belongs to another token.
type wireReference struct {
	Index *int64  `json:"idx"`
	URI   *string `json:"uri"`
}

// plainWire is wire without its UnmarshalJSON.
type plainWire wire

// UnmarshalJSON compares names exactly and refuses members that are repeated (RFC 7519 section 4).
func (w *wire) UnmarshalJSON(data []byte) error { return strictjson.Unmarshal(data, (*plainWire)(w)) }

func (c *Claims) wire() *wire {
	w := &wire{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    c.Issuer,
			Subject:   c.Subject,
			Audience:  c.Audience,
			ID:        c.ID,
			IssuedAt:  numericDate(c.IssuedAt),
			NotBefore: numericDate(c.NotBefore),
			ExpiresAt: numericDate(c.ExpiresAt),
		},
		ClientID: c.ClientID,
		Scope:    c.Scope.String(),
		Username: c.Username,
		Name:     c.Name,
	}
	if c.Status != nil {
		w.Status = &wireStatus{List: &wireReference{Index: &c.Status.Index, URI: &c.Status.URI}}
	}
	return w
}

// numericDate returns the JSON form of a time, and nil for the zero time, which means an absent claim.
func numericDate(t time.Time) *jwt.NumericDate {
	if t.IsZero() {
		return nil
	}
	return jwt.NewNumericDate(t)
}

// maxSeconds is the end of the year 9999. Later times overflow in package time, which would move them to
// the past.
const maxSeconds = 253402300799

// errTime reports an exp, nbf or iat that is out of range.
var errTime = errors.New("exp, nbf or iat is not a time between 1970 and 9999")

// checkTimes returns errTime unless all times are in range.
func (w *wire) checkTimes() error {
	for _, t := range []*jwt.NumericDate{w.ExpiresAt, w.NotBefore, w.IssuedAt} {
		if t != nil && (t.Unix() < 0 || t.Unix() > maxSeconds) {
			return errTime
		}
	}
	return nil
}

// errReference reports a status_list without idx or uri (draft-ietf-oauth-status-list section 6.2).
var errReference = errors.New("its status_list has no idx or no uri")

// reference returns the reference to a status list, or nil if the claim is absent.
func (w *wire) reference() (*Status, error) {
	if w.Status == nil || w.Status.List == nil {
		return nil, nil
	}
	if w.Status.List.Index == nil || w.Status.List.URI == nil {
		return nil, errReference
	}
	return &Status{Index: *w.Status.List.Index, URI: *w.Status.List.URI}, nil
}

// claims returns w as Claims. The required claims must be present. A scope outside the grammar, a time
// outside the calendar and an incomplete status are errors.
func (w *wire) claims() (*Claims, error) {
	scope, err := oauth.ParseScope(w.Scope)
	if err != nil {
		return nil, err
	}
	if err := w.checkTimes(); err != nil {
		return nil, err
	}
	status, err := w.reference()
	if err != nil {
		return nil, err
	}
	c := &Claims{
		Issuer:    w.Issuer,
		Subject:   w.Subject,
		Audience:  w.Audience,
		ClientID:  w.ClientID,
		ID:        w.ID,
		IssuedAt:  w.IssuedAt.Time,
		ExpiresAt: w.ExpiresAt.Time,
		Scope:     scope,
		Username:  w.Username,
		Name:      w.Name,
		Status:    status,
	}
	if w.NotBefore != nil {
		c.NotBefore = w.NotBefore.Time
	}
	return c, nil
}

// missing returns the name of the first required claim that is absent (RFC 9068 section 2.2), or "".
func (w *wire) missing() string {
	switch {
	case w.Issuer == "":
		return "iss"
	case w.Subject == "":
		return "sub"
	case len(w.Audience) == 0:
		return "aud"
	case w.ClientID == "":
		return "client_id"
	case w.ID == "":
		return "jti"
	case w.IssuedAt == nil:
		return "iat"
	case w.ExpiresAt == nil:
		return "exp"
	}
	return ""
}
