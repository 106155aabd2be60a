package token

import (
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/hallpass-auth/hallpass/shared/oauth"
)

// Type is the typ header of an access token (RFC 9068 section 2.1).
const Type = "at+jwt"

// UserPrefix is the prefix of the subject of every token that a user stands behind. A client id never
// begins with it, so a subject is a user's or a client's and cannot be mistaken for the other.
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
	// Username and Name are the user's (preferred_username, name). Both are empty in a token without
	// the scope profile, and in one that no user stands behind: see IsUser.
	Username, Name string
	// Status refers to the bit that revokes the token; nil if there is none.
	Status *Status
}

// IsUser reports whether a user stands behind the token. It is false for a token that a client got for
// itself, by the client credentials grant.
func (c *Claims) IsUser() bool { return strings.HasPrefix(c.Subject, UserPrefix) }

// Status is the status_list member of the status claim (draft-ietf-oauth-status-list).
type Status struct {
	// Index is the token's place in the list.
	Index int64 `json:"idx"`
	// URI is where the list is published.
	URI string `json:"uri"`
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
	List *Status `json:"status_list,omitempty"`
}

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
		w.Status = &wireStatus{List: c.Status}
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

// claims returns w as Claims. The required claims must be present. A scope outside the grammar is an
// error.
func (w *wire) claims() (*Claims, error) {
	scope, err := oauth.ParseScope(w.Scope)
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
	}
	if w.NotBefore != nil {
		c.NotBefore = w.NotBefore.Time
	}
	if w.Status != nil {
		c.Status = w.Status.List
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
