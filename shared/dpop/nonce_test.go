package dpop_test

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/dpop"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
)

const secret = "a secret that all replicas share, of 32 bytes or more"

// noRing is a source that has no keys yet.
type noRing struct{}

func (noRing) Current() *keyring.Ring { return nil }

// A nonce can be used for a minute, at every replica with the same secret. In the second half of the minute the
// client gets the next one.
func TestNonceLifetime(t *testing.T) {
	first, second := newServer(t, base, secret), newServer(t, base, secret)
	c, nonce := newClient(t, "ES256"), first.Nonce()
	for _, tt := range []struct {
		after   time.Duration
		next    bool
		refused bool
	}{
		{after: -4 * time.Second}, // the other replica's clock is behind
		{after: 0},
		{after: 29 * time.Second},
		{after: 30 * time.Second, next: true},
		{after: 59 * time.Second, next: true},
		{after: 60 * time.Second, next: true, refused: true},
		{after: 24 * time.Hour, next: true, refused: true},
		{after: -6 * time.Second, next: true, refused: true},
	} {
		second.now = start.Add(tt.after)
		claims := goodClaims().with("nonce", nonce).with("iat", second.now.Unix())
		got, err := second.use(t, request("GET", target, c.proof(c.header, claims)))
		if (got.Nonce != "") != tt.next || (err != nil) != tt.refused {
			t.Errorf("after %v: %+v, %v", tt.after, got, err)
		}
		if tt.refused {
			isRefused(t, "old nonce", err, oauth.CodeUseDPoPNonce, "DPoP-Nonce")
		}
		if got.Nonce == "" {
			continue
		}
		claims = goodClaims().with("nonce", got.Nonce).with("iat", second.now.Unix())
		if _, err := second.use(t, request("GET", target, c.proof(c.header, claims))); err != nil {
			t.Errorf("after %v, the next nonce: %v", tt.after, err)
		}
	}
}

// Nonces that the server has not made are refused like a missing one.
func TestForgedNonces(t *testing.T) {
	s, c := newServer(t, base, secret), newClient(t, "ES256")
	good := s.Nonce()
	forged := newServer(t, base, "another "+secret).Nonce()
	for name, nonce := range map[string]any{
		"missing": nil, "empty": "", "another secret": forged, "too short": good[:31], "too long": good + "A",
		"other time": "B" + good[1:], "no base64url": strings.Repeat("!", 32), "line break": good[:31] + "\n" + good[31:],
		"line breaks": good[:4] + strings.Repeat("\n", 28), "line breaks of Windows": strings.Repeat("\r\n", 16),
	} {
		got, err := s.use(t, request("GET", target, c.proof(c.header, goodClaims().with("nonce", nonce))))
		isRefused(t, name, err, oauth.CodeUseDPoPNonce, "")
		if got.Nonce == "" {
			t.Errorf("%s: no new nonce", name)
		}
	}
	_, err := s.use(t, request("GET", target, c.proof(c.header, goodClaims().with("nonce", 1))))
	isRefused(t, "wrong type", err, oauth.CodeInvalidDPoPProof, "claims")
}

// With a nonce the server knows when a proof was made, and the client's clock may be wrong by minutes (RFC 9449
// section 4.3, check 11).
func TestClockOfTheClient(t *testing.T) {
	s, c := newServer(t, base, secret), newClient(t, "ES256")
	for wrong, says := range map[time.Duration]string{
		4 * time.Minute: "", -4 * time.Minute: "", 6 * time.Minute: "future", -6 * time.Minute: "long ago",
	} {
		claims := goodClaims().with("nonce", s.Nonce()).with("iat", start.Add(wrong).Unix())
		_, err := s.use(t, request("GET", target, c.proof(c.header, claims)))
		if says != "" {
			isRefused(t, wrong.String(), err, oauth.CodeInvalidDPoPProof, says)
		} else if err != nil {
			t.Errorf("%v: %v", wrong, err)
		}
	}
}

// Replicas with one ring accept each other's nonces, also while its secret is being replaced, and those of another
// API's replicas are refused. With public keys there is no secret, and no nonce.
func TestNoncesOfRing(t *testing.T) {
	set, err := keyring.Generate(keyring.HS256, start.Add(-time.Hour), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ring := parse(t, set)
	nonce := dpop.NoncesOf(ring, base).New(start)
	check := func(ring *keyring.Ring, api, nonce string) error {
		c := newClient(t, "ES256")
		at, err := dpop.ParseBase(base)
		if err != nil {
			t.Fatal(err)
		}
		v := dpop.NewVerifier(dpop.Config{Base: at, Nonces: dpop.NoncesOf(ring, api), Replays: dpop.NewMemory(9),
			Now: func() time.Time { return start }})
		_, err = v.Check(request("GET", target, c.proof(c.header, goodClaims().with("nonce", nonce))), access)
		return err
	}
	next, err := keyring.NewSuccessor(keyring.HS256, "", start.Add(-time.Minute), start.Add(time.Hour), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rotated, err := keyring.Rotate(set, next, start.Add(-2*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*keyring.Ring{"same": ring, "rotated": parse(t, rotated)} {
		if err := check(r, base, nonce); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		isRefused(t, name+", another API", check(r, "https://other.example", nonce), oauth.CodeUseDPoPNonce, "")
	}
	isRefused(t, "no nonce", check(ring, base, ""), oauth.CodeUseDPoPNonce, "")

	set, err = keyring.Generate(keyring.EdDSA, start.Add(-time.Hour), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pair := parse(t, set)
	if got := dpop.NoncesOf(pair, base).New(start); got != "" {
		t.Errorf("nonce %q without a secret", got)
	}
	if err := check(pair, base, ""); err != nil {
		t.Errorf("without a secret: %v", err)
	}
}

func parse(t testing.TB, set []byte) *keyring.Ring {
	t.Helper()
	ring, err := keyring.Parse(set)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}
