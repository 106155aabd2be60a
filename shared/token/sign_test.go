package token_test

import (
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// The token is exactly as RFC 9068 section 2 says: header, claims and signature.
func TestSignFollowsRFC9068(t *testing.T) {
	raw := sign(t, goodRing(t), goodClaims())
	if got, want := decoded(t, raw, 0), `{"alg":"HS256","kid":"k1","typ":"at+jwt"}`; got != want {
		t.Errorf("header %s, want %s", got, want)
	}
	want := `{"iss":"https://issuer.example","sub":"usr_1","aud":["https://api.example"],` +
		`"exp":1800001800,"iat":1800000000,"jti":"jti-1","client_id":"client-1","scope":"items:read items:write",` +
		`"preferred_username":"john.doe","name":"John Doe",` +
		`"status":{"status_list":{"idx":42,"uri":"https://issuer.example/status/1"}}}`
	if diff := cmp.Diff(want, decoded(t, raw, 1)); diff != "" {
		t.Errorf("payload (-want +got):\n%s", diff)
	}
	parts := strings.Split(raw, ".")
	if parts[2] != signature(parts[0]+"."+parts[1], sha256.New, secret) {
		t.Error("the signature is not the HMAC with SHA-256 of the first two parts")
	}
}

func TestSignOmitsEmptyClaims(t *testing.T) {
	c := goodClaims()
	c.Scope, c.Username, c.Name, c.Status = nil, "", "", nil
	payload := decoded(t, sign(t, goodRing(t), c), 1)
	for _, name := range []string{"scope", "preferred_username", "name", "status", "nbf"} {
		if strings.Contains(payload, `"`+name+`"`) {
			t.Errorf("%s is in %s", name, payload)
		}
	}
}

// A token without one of the claims that RFC 9068 section 2.2 requires is not signed.
func TestSignRefusesMissingClaims(t *testing.T) {
	for name, remove := range map[string]func(*token.Claims){
		"iss":       func(c *token.Claims) { c.Issuer = "" },
		"sub":       func(c *token.Claims) { c.Subject = "" },
		"aud":       func(c *token.Claims) { c.Audience = nil },
		"client_id": func(c *token.Claims) { c.ClientID = "" },
		"jti":       func(c *token.Claims) { c.ID = "" },
		"iat":       func(c *token.Claims) { c.IssuedAt = time.Time{} },
		"exp":       func(c *token.Claims) { c.ExpiresAt = time.Time{} },
	} {
		c := goodClaims()
		remove(c)
		raw, err := (&token.Signer{Keys: goodRing(t)}).Sign(c)
		if err == nil || raw != "" || !strings.Contains(err.Error(), "the claim "+name+" ") {
			t.Errorf("without %s: signed %q, error %v", name, raw, err)
		}
	}
}

// The key that signs is selected by the schedule of the ring.
func TestSignFollowsTheSchedule(t *testing.T) {
	ring := ringOf(t,
		jwk("old", secret, `"exp":`+seconds(2*time.Hour)),
		jwk("new", secret+"2", `"nbf":`+seconds(time.Hour), `"exp":`+seconds(3*time.Hour)),
	)
	now := newClock()
	signer := &token.Signer{Keys: ring, Now: now.Now}
	for at, kid := range map[time.Duration]string{0: "old", time.Hour: "new"} {
		now.set(start.Add(at))
		raw, err := signer.Sign(goodClaims())
		if err != nil {
			t.Fatal(err)
		}
		if header := decoded(t, raw, 0); !strings.Contains(header, `"kid":"`+kid+`"`) {
			t.Errorf("at %v the header is %s, want the key %s", at, header, kid)
		}
	}
	now.set(start.Add(3 * time.Hour))
	if raw, err := signer.Sign(goodClaims()); !errors.Is(err, keyring.ErrNoSigner) || raw != "" {
		t.Errorf("without a key: signed %q, error %v", raw, err)
	}
}

func TestSignAndVerifyAgree(t *testing.T) {
	service := goodClaims()
	service.Subject, service.ClientID = "client-1", "client-1"
	service.Scope, service.Username, service.Name, service.Status = nil, "", "", nil
	later := goodClaims()
	later.NotBefore = start.Add(-time.Minute)
	many := goodClaims()
	many.Audience = []string{"https://other.example", audience}
	exchanged := goodClaims()
	exchanged.Actors = []string{"billing", "orders"}
	for name, want := range map[string]*token.Claims{"user": goodClaims(), "service": service, "nbf": later,
		"two audiences": many, "exchanged": exchanged} {
		got := accepts(t, verifier(t, nil), sign(t, goodRing(t), want))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-signed +verified):\n%s", name, diff)
		}
	}
}
