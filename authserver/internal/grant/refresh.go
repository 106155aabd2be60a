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

	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// RefreshPrefix begins every refresh token, so that tools that look for leaked
// secrets can tell one.
const RefreshPrefix = "hpr_"

// maxTrail bounds how many replaced tokens of one grant are remembered. A client
// that refreshes more often than this within the grace is broken.
const maxTrail = 64

// ErrRefreshToken says that a text is not of the form of a refresh token.
var ErrRefreshToken = errors.New("not a refresh token")

// RefreshToken is the text that a client holds, taken apart. It names its grant,
// carries the mark that all tokens of the grant share, and a secret of its own.
type RefreshToken struct {
	// Number is the grant's.
	Number int64

	family [16]byte
	secret [32]byte
}

// refreshSize is the length of a refresh token's bytes.
const refreshSize = 8 + 16 + 32

// String returns the token as the client gets it.
func (t RefreshToken) String() string {
	raw := binary.BigEndian.AppendUint64(make([]byte, 0, refreshSize), uint64(t.Number)) //nolint:gosec // numbers are positive
	raw = append(append(raw, t.family[:]...), t.secret[:]...)
	return RefreshPrefix + base64.RawURLEncoding.EncodeToString(raw)
}

// ParseRefreshToken is the inverse of String; anything else is ErrRefreshToken.
func ParseRefreshToken(text string) (RefreshToken, error) {
	encoded, ok := strings.CutPrefix(text, RefreshPrefix)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if !ok || err != nil || len(raw) != refreshSize || raw[0] >= 0x80 || len(encoded) != base64.RawURLEncoding.EncodedLen(refreshSize) {
		return RefreshToken{}, ErrRefreshToken
	}
	t := RefreshToken{Number: int64(binary.BigEndian.Uint64(raw))} //nolint:gosec // the top bit is not set
	copy(t.family[:], raw[8:])
	copy(t.secret[:], raw[8+16:])
	return t, nil
}

// successor returns the token that replaces t. Whoever has t cannot tell it without
// the seed, which is in the database; whoever has the database cannot without t.
func (t RefreshToken) successor(seed []byte) RefreshToken {
	mac := hmac.New(sha256.New, t.secret[:])
	mac.Write(seed)
	next := t
	mac.Sum(next.secret[:0])
	return next
}

// Refresh is what is kept of a grant's refresh tokens: nothing that would be one.
// The zero value means that the grant has none.
type Refresh struct {
	// Family is the digest of the mark that all tokens of the grant share.
	Family string
	// Current is the digest of the secret of the one token that is good.
	Current string
	// Trail are the tokens that were replaced lately, oldest first.
	Trail []Replaced
	// EndsAt is when refreshing ends however often it is done.
	EndsAt time.Time
	// ExpiresAt is when refreshing ends if it is not done before.
	ExpiresAt time.Time
}

// Replaced is a token that another has taken the place of.
type Replaced struct {
	// Digest is that of its secret.
	Digest string `json:"digest"`
	// Seed leads from it to the token that took its place.
	Seed []byte `json:"seed"`
	// At is when that happened, in milliseconds since 1970.
	At int64 `json:"at"`
}

// NewRefresh makes the first refresh token of a grant that ends at the given time.
// Its number is filled in when the grant has one. Randomness comes from random.
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
	// Unknown tokens were never given to anybody for this grant.
	Unknown Verdict = iota
	// Current is the one good token: it may be used, and is then replaced.
	Current
	// Recent tokens were replaced within the grace: whoever has one lost the answer, or
	// another part of the same client was faster. They get the current token.
	Recent
	// Stolen tokens were replaced longer ago. The client that got the successor does
	// not use them any more, so somebody else does.
	Stolen
)

// Judge tells what the token is. For a recent one it also returns the current token.
func (r Refresh) Judge(t RefreshToken, now time.Time, grace time.Duration) (Verdict, RefreshToken) {
	if !same(r.Family, secret.Digest(t.family[:])) {
		return Unknown, RefreshToken{}
	}
	presented := secret.Digest(t.secret[:])
	if same(r.Current, presented) {
		return Current, t
	}
	earliest := now.Add(-grace).UnixMilli()
	for i, replaced := range r.Trail {
		if same(replaced.Digest, presented) && replaced.At >= earliest {
			for _, step := range r.Trail[i:] {
				t = t.successor(step.Seed)
			}
			return Recent, t
		}
	}
	return Stolen, RefreshToken{}
}

// Rotate replaces the current token t by one that the seed leads to. Replaced tokens
// that are past the grace are forgotten: they will be found stolen.
func (r Refresh) Rotate(t RefreshToken, seed []byte, now time.Time, grace time.Duration) (Refresh, RefreshToken) {
	next := t.successor(seed)
	rotated := Refresh{Family: r.Family, Current: secret.Digest(next.secret[:]), EndsAt: r.EndsAt}
	earliest := now.Add(-grace).UnixMilli()
	for i, replaced := range r.Trail {
		kept := len(rotated.Trail) > 0 // the way to the current token has no gaps, whatever the clocks of replicas say
		if kept || (replaced.At >= earliest && i > len(r.Trail)-maxTrail) {
			rotated.Trail = append(rotated.Trail, replaced)
		}
	}
	rotated.Trail = append(rotated.Trail, Replaced{Digest: secret.Digest(t.secret[:]), Seed: seed, At: now.UnixMilli()})
	return rotated, next
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
