package grant

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// RefreshPrefix begins every refresh token, so that secret scanners recognize it.
const RefreshPrefix = "hpr_"

// maxReplaced bounds how many replaced tokens of one grant are stored. A client that
// refreshes more often than this within the grace period is broken.
const maxReplaced = 64

// ErrRefreshToken says that a text is not a refresh token of Hallpass.
var ErrRefreshToken = errors.New("not a refresh token")

// RefreshToken is a refresh token in its parts: the number of its grant, an identifier that
// all tokens of the grant share, and a secret of its own.
type RefreshToken struct {
	// Number is the grant's.
	Number int64

	family [16]byte
	secret [32]byte
}

// refreshSize is the number of bytes in a refresh token.
const refreshSize = 8 + 16 + 32

// String returns the token as the client gets it.
func (t RefreshToken) String() string {
	raw := make([]byte, 0, refreshSize)
	raw = binary.BigEndian.AppendUint64(raw, uint64(t.Number)) //nolint:gosec // numbers are positive
	raw = append(append(raw, t.family[:]...), t.secret[:]...)
	return RefreshPrefix + base64.RawURLEncoding.EncodeToString(raw)
}

// ParseRefreshToken is the inverse of String. The error is ErrRefreshToken.
func ParseRefreshToken(text string) (RefreshToken, error) {
	encoded, ok := strings.CutPrefix(text, RefreshPrefix)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	// The decoder skips line breaks, so the length of the text is checked too.
	if !ok || err != nil || len(encoded) != base64.RawURLEncoding.EncodedLen(refreshSize) {
		return RefreshToken{}, ErrRefreshToken
	}
	if len(raw) != refreshSize || raw[0] >= 0x80 {
		return RefreshToken{}, ErrRefreshToken
	}
	t := RefreshToken{Number: int64(binary.BigEndian.Uint64(raw))} //nolint:gosec // the top bit is not set
	copy(t.family[:], raw[8:])
	copy(t.secret[:], raw[8+16:])
	return t, nil
}

// successor returns the token that replaces t. It takes both t, which only the client has,
// and the seed, which only the database has.
func (t RefreshToken) successor(seed []byte) RefreshToken {
	mac := hmac.New(sha256.New, t.secret[:])
	mac.Write(seed)
	next := t
	mac.Sum(next.secret[:0])
	return next
}

// Refresh is what is stored of a grant's refresh tokens: digests, and nothing that a token
// could be made of. The zero value means that the grant has no refresh token.
type Refresh struct {
	// Family is the digest of the identifier that all tokens of the grant share.
	Family string
	// Current is the digest of the secret of the current token.
	Current string
	// Replaced are the tokens that were replaced last, oldest first.
	Replaced []ReplacedToken
	// EndsAt is when refreshing ends however often it is done.
	EndsAt time.Time
	// ExpiresAt is when the current token expires if it is not used.
	ExpiresAt time.Time
}

// ReplacedToken is a refresh token that was used and replaced by another.
type ReplacedToken struct {
	// Digest is the digest of its secret.
	Digest string `json:"digest"`
	// Seed leads from the token to its successor.
	Seed []byte `json:"seed"`
	// At is when it was replaced, in milliseconds since 1970.
	At int64 `json:"at"`
}

// within reports whether the token was replaced within the grace period before now. It was not
// if the time lies ahead by more than the clocks of servers differ: a clock that was wrong must
// not make a token valid for longer.
func (r ReplacedToken) within(grace time.Duration, now time.Time) bool {
	return r.At >= now.Add(-grace).UnixMilli() && r.At <= now.Add(account.ClockMargin).UnixMilli()
}

// NewRefresh returns the first refresh token of a grant whose refreshing ends at endsAt, and
// what to store of it. The caller sets the token's number once the grant has one. The error
// is that of random.
func NewRefresh(random io.Reader, endsAt time.Time) (RefreshToken, Refresh, error) {
	var t RefreshToken
	if _, err := io.ReadFull(random, t.family[:]); err != nil {
		return t, Refresh{}, fmt.Errorf("making a refresh token: %w", err)
	}
	if _, err := io.ReadFull(random, t.secret[:]); err != nil {
		return t, Refresh{}, fmt.Errorf("making a refresh token: %w", err)
	}
	return t, Refresh{Family: secret.Digest(t.family[:]), Current: secret.Digest(t.secret[:]), EndsAt: endsAt}, nil
}

// Verdict is what a refresh token is to its grant.
type Verdict int

// The verdicts.
const (
	// Unknown tokens were never issued for this grant.
	Unknown Verdict = iota
	// Current is the one valid token. Using it replaces it.
	Current
	// Recent tokens were replaced within the grace period: the client lost the response, or
	// sent two requests at once. It gets the current token.
	Recent
	// Reused tokens were replaced before that. The client has used the successor since, so
	// somebody else has a copy (RFC 9700 section 4.14.2).
	Reused
)

// Judge returns the verdict on a token. For a recent one it also returns the current token.
func (r Refresh) Judge(t RefreshToken, now time.Time, grace time.Duration) (Verdict, RefreshToken) {
	if !same(r.Family, secret.Digest(t.family[:])) {
		return Unknown, RefreshToken{}
	}
	presented := secret.Digest(t.secret[:])
	if same(r.Current, presented) {
		return Current, t
	}
	for i, replaced := range r.Replaced {
		if same(replaced.Digest, presented) && replaced.within(grace, now) {
			for _, step := range r.Replaced[i:] {
				t = t.successor(step.Seed)
			}
			return Recent, t
		}
	}
	return Reused, RefreshToken{}
}

// Rotate returns the successor of the current token t by a random seed, and what to store
// from then on. It drops replaced tokens that are past the grace period: they count as
// reused.
func (r Refresh) Rotate(t RefreshToken, seed []byte, now time.Time, grace time.Duration) (Refresh, RefreshToken) {
	next := t.successor(seed)
	rotated := Refresh{Family: r.Family, Current: secret.Digest(next.secret[:]), EndsAt: r.EndsAt}
	for i, replaced := range r.Replaced {
		// The way to the current token has no gaps, even where the clocks of replicas differ.
		keep := len(rotated.Replaced) > 0
		if keep || (replaced.within(grace, now) && i > len(r.Replaced)-maxReplaced) {
			rotated.Replaced = append(rotated.Replaced, replaced)
		}
	}
	used := ReplacedToken{Digest: secret.Digest(t.secret[:]), Seed: seed, At: now.UnixMilli()}
	rotated.Replaced = append(rotated.Replaced, used)
	return rotated, next
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
