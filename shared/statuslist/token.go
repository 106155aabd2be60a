package statuslist

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// The signed form of a list.
const (
	// Type is the typ header of a signed list, MediaType what it is served as.
	Type      = "statuslist+jwt"
	MediaType = "application/" + Type

	// Path is where lists are, below the issuer.
	Path = "/status-lists"
)

// maxTTL bounds the ttl that is believed: a longer one means this one.
const maxTTL = 24 * time.Hour

// ErrToken says that a text is not the signed form of the list that was asked for.
var ErrToken = errors.New("not the signed status list asked for")

// Token is what the signed form of a list says: a Status List Token.
type Token struct {
	// URI is where the list is, and what the tokens that point at it say.
	URI string
	// IssuedAt and ExpiresAt bound the time in which it may be relied on. They have a
	// resolution of one second.
	IssuedAt, ExpiresAt time.Time
	// TTL is how old a copy of it may be before it is fetched again; zero: it does not say.
	TTL time.Duration
	// List is the list.
	List *List
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

// bitsEach is how many bits a list has for each token: revoked or not.
const bitsEach = 1

// Sign returns the signed form of t, in compact form.
func Sign(t Token, key *keyring.Key) (string, error) {
	w := wire{
		RegisteredClaims: jwt.RegisteredClaims{
			Subject: t.URI, IssuedAt: jwt.NewNumericDate(t.IssuedAt), ExpiresAt: jwt.NewNumericDate(t.ExpiresAt),
		},
		List: wireList{Bits: bitsEach, List: t.List.Encode()},
	}
	if t.TTL > 0 {
		seconds := t.TTL.Seconds()
		w.TTL = &seconds
	}
	unsigned := jwt.NewWithClaims(jwt.GetSigningMethod(key.Algorithm), w)
	unsigned.Header["typ"] = Type
	unsigned.Header["kid"] = key.ID
	signed, err := unsigned.SignedString(key.SigningKey())
	if err != nil {
		return "", fmt.Errorf("signing a status list: %w", err)
	}
	return signed, nil
}

// Expected is what a signed list must be to be believed.
type Expected struct {
	// URI must be its sub.
	URI string
	// Keys has the key that it must be signed with.
	Keys keyring.Source
	// Audience is the API that is asking: a key that is tied to another API does not count.
	Audience string
	// Now is the time; ExpiresAt must be later, give or take token.DefaultLeeway.
	Now time.Time
}

// Verify returns what a signed list says if it is the one expected; otherwise the error
// is ErrToken.
func Verify(raw string, want Expected) (Token, error) {
	t, _, err := verify(raw, want)
	return t, err
}

// verify is Verify, and says which key it was.
func verify(raw string, want Expected) (Token, *keyring.Key, error) {
	var w wire
	var key *keyring.Key
	parser := jwt.NewParser(
		jwt.WithValidMethods(keyring.Algorithms),
		jwt.WithSubject(want.URI),
		jwt.WithExpirationRequired(),
		jwt.WithLeeway(token.DefaultLeeway),
		jwt.WithTimeFunc(func() time.Time { return want.Now }),
		jwt.WithStrictDecoding(),
	)
	_, err := parser.ParseWithClaims(raw, &w, func(t *jwt.Token) (any, error) {
		var err error
		if key, err = keyring.ForHeader(want.Keys, t.Header, Type, want.Now); err != nil {
			return nil, err
		}
		if key.Audience != "" && key.Audience != want.Audience {
			return nil, errors.New("its key is for another API")
		}
		return key.VerificationKey(), nil
	})
	if errors.Is(err, jwt.ErrTokenMalformed) {
		err = jwt.ErrTokenMalformed // what it wraps quotes the claims
	}
	if err != nil {
		return Token{}, nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	t, err := w.token()
	return t, key, err
}

// token turns the wire form of what was signed by the right key into a Token.
func (w *wire) token() (Token, error) {
	t := Token{URI: w.Subject, ExpiresAt: w.ExpiresAt.Time}
	switch {
	case w.IssuedAt == nil:
		return Token{}, fmt.Errorf("%w: the claim iat is missing", ErrToken)
	case w.List.Bits != bitsEach:
		return Token{}, fmt.Errorf("%w: it has not %d bit for each token", ErrToken, bitsEach)
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
