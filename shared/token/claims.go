package token

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

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
	// Groups are the groups that the user is in. There are none without the scope groups.
	Groups []string
	// Actors are the clients that act for the user, the latest first, as the claim act says (RFC 8693 section
	// 4.1). There are none unless the token was exchanged. Only the first one matters for access control; the
	// others are for the log.
	Actors []string
	// AuthTime is when the user has logged in (auth_time), with a resolution of one second. ACR is the authentication
	// context class of that login (acr): "1" for one factor, "2" for two. Methods are its methods (amr, RFC 8176). See
	// RFC 9068 section 2.2.1. All are empty in a token that a client got for itself.
	AuthTime time.Time
	ACR      string
	Methods  []string
	// KeyThumbprint identifies the key that the token is bound to (cnf.jkt, RFC 9449 section 6): a request with
	// the token must have a proof of the key. It is empty for a bearer token.
	KeyThumbprint string
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

// wire is the JSON form of Claims. The times are in seconds since 1970, with a fraction that is ignored, and
// nil if absent.
type wire struct {
	Issuer    string           `json:"iss,omitempty"`
	Subject   string           `json:"sub,omitempty"`
	Audience  jwt.ClaimStrings `json:"aud,omitempty"`
	ExpiresAt *float64         `json:"exp,omitempty"`
	NotBefore *float64         `json:"nbf,omitempty"`
	IssuedAt  *float64         `json:"iat,omitempty"`
	ID        string           `json:"jti,omitempty"`
	ClientID  string           `json:"client_id"`
	Scope     string           `json:"scope,omitempty"`
	Username  string           `json:"preferred_username,omitempty"`
	Name      string           `json:"name,omitempty"`
	Groups    []string         `json:"groups,omitempty"`
	Actor     *oauth.Actor     `json:"act,omitempty"`
	AuthTime  *float64         `json:"auth_time,omitempty"`
	ACR       string           `json:"acr,omitempty"`
	Methods   []string         `json:"amr,omitempty"`
	Status    *wireStatus      `json:"status,omitempty"`

	Confirmation *oauth.Confirmation `json:"cnf,omitempty"`
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

func (c *Claims) wire() *wire {
	w := &wire{
		Issuer:    c.Issuer,
		Subject:   c.Subject,
		Audience:  c.Audience,
		ExpiresAt: seconds(c.ExpiresAt),
		NotBefore: seconds(c.NotBefore),
		IssuedAt:  seconds(c.IssuedAt),
		ID:        c.ID,
		ClientID:  c.ClientID,
		Scope:     c.Scope.String(),
		Username:  c.Username,
		Name:      c.Name,
		Groups:    c.Groups,
		Actor:     oauth.NewActor(c.Actors),
		AuthTime:  seconds(c.AuthTime),
		ACR:       c.ACR,
		Methods:   c.Methods,

		Confirmation: oauth.NewConfirmation(c.KeyThumbprint),
	}
	if c.Status != nil {
		w.Status = &wireStatus{List: &wireReference{Index: &c.Status.Index, URI: &c.Status.URI}}
	}
	return w
}

// seconds returns the JSON form of a time, and nil for the zero time, which means an absent claim.
func seconds(t time.Time) *float64 {
	if t.IsZero() {
		return nil
	}
	s := float64(t.Unix())
	return &s
}

// timeOf is the inverse of seconds.
func timeOf(seconds *float64) time.Time {
	if seconds == nil {
		return time.Time{}
	}
	return time.Unix(int64(*seconds), 0)
}

// registered returns the claims that a jwt.Validator checks.
func (c *Claims) registered() jwt.RegisteredClaims {
	claims := jwt.RegisteredClaims{
		Issuer:    c.Issuer,
		Audience:  c.Audience,
		ExpiresAt: jwt.NewNumericDate(c.ExpiresAt),
	}
	if !c.NotBefore.IsZero() {
		claims.NotBefore = jwt.NewNumericDate(c.NotBefore)
	}
	return claims
}

// maxSeconds is the end of the year 9999. Later times overflow in package time, which would move them to
// the past.
const maxSeconds = 253402300799

// errTime reports an exp, nbf, iat or auth_time that is out of range.
var errTime = errors.New("exp, nbf, iat or auth_time is not a time between 1970 and 9999")

// checkTimes returns errTime unless all times are in range.
func (w *wire) checkTimes() error {
	for _, t := range []*float64{w.ExpiresAt, w.NotBefore, w.IssuedAt, w.AuthTime} {
		if t != nil && (*t < 0 || *t > maxSeconds) {
			return errTime
		}
	}
	return nil
}

// errConfirm reports a token that is bound to a key in another way than by DPoP (RFC 7800 section 3.1). It must not be
// accepted without a proof.
var errConfirm = errors.New("its cnf has no jkt")

// confirmed returns the thumbprint of the key that the token is bound to, or "" for a bearer token.
func (w *wire) confirmed() (thumbprint string, err error) {
	switch {
	case w.Confirmation == nil:
		return "", nil
	case w.Confirmation.KeyThumbprint == "":
		return "", errConfirm
	}
	return w.Confirmation.KeyThumbprint, nil
}

// errActor reports an act without sub, which identifies the actor here.
var errActor = errors.New("its act has no sub")

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

// claims returns w as Claims. A missing claim, a scope outside the grammar, a time outside the calendar and an
// incomplete status are errors.
func (w *wire) claims() (*Claims, error) {
	if name := w.missing(); name != "" {
		return nil, fmt.Errorf("the claim %s is missing", name)
	}
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
	key, err := w.confirmed()
	if err != nil {
		return nil, err
	}
	actors := w.Actor.Clients()
	if slices.Contains(actors, "") {
		return nil, errActor
	}
	return &Claims{
		Issuer:    w.Issuer,
		Subject:   w.Subject,
		Audience:  w.Audience,
		ClientID:  w.ClientID,
		ID:        w.ID,
		IssuedAt:  timeOf(w.IssuedAt),
		NotBefore: timeOf(w.NotBefore),
		ExpiresAt: timeOf(w.ExpiresAt),
		Scope:     scope,
		Username:  w.Username,
		Name:      w.Name,
		Groups:    w.Groups,
		Actors:    actors,
		AuthTime:  timeOf(w.AuthTime),
		ACR:       w.ACR,
		Methods:   w.Methods,
		Status:    status,

		KeyThumbprint: key,
	}, nil
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
