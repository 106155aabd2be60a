package statuslist

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/hallpass-auth/hallpass/shared/internal/strictjson"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/token"
)

const (
	// Type is the typ header of a signed list.
	Type = "statuslist+jwt"
	// MediaType is the media type of a signed list.
	MediaType = "application/" + Type
	// Path is the path of all lists below the issuer.
	Path = "/status-lists"
)

// maxTTL is the maximum of ttl: a longer one is reduced to it.
const maxTTL = 24 * time.Hour

// ErrToken reports a text that is not the expected signed list.
var ErrToken = errors.New("not the expected status list")

// Token holds the claims of a signed list (a Status List Token).
type Token struct {
	// URI is the address of the list, to which access tokens refer.
	URI string
	// IssuedAt and ExpiresAt bound the validity. They have a resolution of one second.
	IssuedAt, ExpiresAt time.Time
	// TTL is how old a copy may become before it is fetched again; zero if the claim is absent.
	TTL time.Duration
	// List is the list.
	List *List
	// Key is the key that the token was verified with. Verify sets it, and Sign ignores it.
	Key *keyring.Key
}

// wire is the JSON form of Token.
type wire struct {
	jwt.RegisteredClaims
	TTL  *float64 `json:"ttl,omitempty"` // seconds
	List wireList `json:"status_list"`
}

type wireList struct {
	Bits int    `json:"bits"`
	List string `json:"lst"`
}

// bitsPerToken is the supported value of the member bits: each token is revoked or not.
const bitsPerToken = 1

// Sign returns t signed with the key, in compact serialization.
func Sign(t Token, key *keyring.Key) (string, error) {
	w := wire{
		RegisteredClaims: jwt.RegisteredClaims{
			Subject: t.URI, IssuedAt: jwt.NewNumericDate(t.IssuedAt), ExpiresAt: jwt.NewNumericDate(t.ExpiresAt),
		},
		List: wireList{Bits: bitsPerToken, List: t.List.Encode()},
	}
	if t.TTL > 0 {
		seconds := t.TTL.Seconds()
		w.TTL = &seconds
	}
	payload, err := json.Marshal(w)
	if err != nil {
		return "", err
	}
	signed, err := key.Sign(Type, payload)
	if err != nil {
		return "", fmt.Errorf("signing a status list: %w", err)
	}
	return signed, nil
}

// Expected says which signed lists Verify accepts.
type Expected struct {
	// URI must equal the sub.
	URI string
	// Keys returns the ring that has the key.
	Keys keyring.Source
	// Audience is the API that verifies. A key bound to another API is refused.
	Audience string
	// Now is the current time. ExpiresAt may be up to token.DefaultLeeway earlier.
	Now time.Time
}

// Verify verifies a signed list and returns its claims. A Client calls it for each list that it fetches,
// and a server that publishes lists can test them with it. The error is ErrToken if the list is not the
// expected one.
func Verify(raw string, want Expected) (Token, error) {
	payload, key, err := keyring.Verify(want.Keys, raw, Type, want.Now)
	if err != nil {
		return Token{}, fmt.Errorf("%w: %w", ErrToken, err)
	}
	if key.Audience != "" && key.Audience != want.Audience {
		return Token{}, fmt.Errorf("%w: its key is for another API", ErrToken)
	}
	var w wire
	if err := strictjson.Unmarshal(payload, &w); err != nil {
		return Token{}, fmt.Errorf("%w: its claims: %w", ErrToken, err)
	}
	validator := jwt.NewValidator(
		jwt.WithSubject(want.URI),
		jwt.WithExpirationRequired(),
		jwt.WithLeeway(token.DefaultLeeway),
		jwt.WithTimeFunc(func() time.Time { return want.Now }),
	)
	if err := validator.Validate(w); err != nil {
		return Token{}, fmt.Errorf("%w: %w", ErrToken, err)
	}
	return w.token(key)
}

// token returns verified claims as a Token.
func (w *wire) token(key *keyring.Key) (Token, error) {
	t := Token{URI: w.Subject, ExpiresAt: w.ExpiresAt.Time, Key: key}
	switch {
	case w.IssuedAt == nil:
		return Token{}, fmt.Errorf("%w: the claim iat is missing", ErrToken)
	case w.List.Bits != bitsPerToken:
		return Token{}, fmt.Errorf("%w: its bits is not %d", ErrToken, bitsPerToken)
	case w.TTL != nil && *w.TTL <= 0:
		return Token{}, fmt.Errorf("%w: its ttl is not positive", ErrToken)
	case w.TTL != nil:
		t.TTL = time.Duration(min(*w.TTL, maxTTL.Seconds()) * float64(time.Second))
	}
	t.IssuedAt = w.IssuedAt.Time
	var err error
	if t.List, err = Decode(w.List.List); err != nil {
		return Token{}, fmt.Errorf("%w: %w", ErrToken, err)
	}
	return t, nil
}
