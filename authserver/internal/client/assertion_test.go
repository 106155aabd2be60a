package client_test

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
)

// publicKeys is a JWK Set with one public key, that of RFC 7517 appendix A.1.
const publicKeys = `{"keys":[{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",` +
	`"y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","kid":"1"}]}`

func TestValidateAssertion(t *testing.T) {
	t.Parallel()
	private := strings.Replace(publicKeys, `"kid"`, `"d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE","kid"`, 1)
	trusted := client.Assertion{Issuer: "https://issuer.example", Subject: "system:serviceaccount:shop:worker"}
	for name, tt := range map[string]struct {
		assertion client.Assertion
		secret    string
		says      string // empty if it is valid
	}{
		"keys":                       {client.Assertion{JWKS: publicKeys}, client.NoSecret, ""},
		"keys and a secret":          {client.Assertion{JWKS: publicKeys}, "digest", ""},
		"URL of keys":                {client.Assertion{JWKSURI: "https://app.example/jwks.json"}, client.NoSecret, ""},
		"URL of keys, this machine":  {client.Assertion{JWKSURI: "http://127.0.0.1:1234/"}, client.NoSecret, ""},
		"trusted issuer":             {trusted, client.NoSecret, ""},
		"trusted issuer, an aud":     {client.Assertion{Issuer: trusted.Issuer, Subject: "s", Audience: "a"}, client.NoSecret, ""},
		"trusted issuer, own keys":   {client.Assertion{Issuer: trusted.Issuer, Subject: "s", JWKS: publicKeys}, client.NoSecret, ""},
		"neither secret nor keys":    {client.Assertion{}, client.NoSecret, "neither a secret, nor keys"},
		"public":                     {client.Assertion{JWKS: publicKeys}, "", "public client"},
		"private keys":               {client.Assertion{JWKS: private}, client.NoSecret, "key 1 is private"},
		"no keys":                    {client.Assertion{JWKS: `{"keys":[]}`}, client.NoSecret, "no key"},
		"keys twice":                 {client.Assertion{JWKS: publicKeys, JWKSURI: "https://a.example/"}, client.NoSecret, "only one"},
		"plain http":                 {client.Assertion{JWKSURI: "http://app.example/jwks.json"}, client.NoSecret, "https://"},
		"a fragment":                 {client.Assertion{JWKSURI: "https://app.example/#x"}, client.NoSecret, "fragment"},
		"a user name":                {client.Assertion{JWKSURI: "https://me@app.example/"}, client.NoSecret, "user name"},
		"issuer alone":               {client.Assertion{Issuer: trusted.Issuer}, client.NoSecret, "needs a subject"},
		"subject alone":              {client.Assertion{Subject: "s"}, client.NoSecret, "needs a subject"},
		"audience without an issuer": {client.Assertion{JWKS: publicKeys, Audience: "a"}, client.NoSecret, "trusted issuer"},
		"long subject":               {client.Assertion{Issuer: trusted.Issuer, Subject: strings.Repeat("x", 256)}, client.NoSecret, "255"},
		"issuer with plain http":     {client.Assertion{Issuer: "http://issuer.example", Subject: "s"}, client.NoSecret, "https://"},
	} {
		c := validClient()
		c.SecretDigest, c.Assertion = tt.secret, tt.assertion
		err := c.Validate()
		if tt.says == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if tt.says != "" && (!errors.Is(err, client.ErrBad) || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: got error %v, want ErrBad that says %q", name, err, tt.says)
		}
	}
}

// An old secret is accepted beside the current one until its time.
func TestOldSecret(t *testing.T) {
	t.Parallel()
	old, oldDigest, err := client.GenerateSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	current, digest, err := client.GenerateSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	until := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	c := client.Client{SecretDigest: digest, OldSecret: client.OldSecret{Digest: oldDigest, Until: until}}
	for _, tt := range []struct {
		now time.Time
		old bool
	}{{until.Add(-time.Second), true}, {until, false}, {until.Add(time.Hour), false}} {
		if !c.VerifySecret(current, tt.now) {
			t.Errorf("%v: the current secret is rejected", tt.now)
		}
		if got := c.VerifySecret(old, tt.now); got != tt.old {
			t.Errorf("%v: the old secret is accepted: %v, want %v", tt.now, got, tt.old)
		}
	}
	none := client.Client{SecretDigest: client.NoSecret}
	for _, text := range []string{"", client.NoSecret, current} {
		if none.VerifySecret(text, until) {
			t.Errorf("%q is accepted for a client without a secret", text)
		}
	}
	if none.Public() || none.HasSecret() || !c.HasSecret() {
		t.Error("a client without a secret must be confidential")
	}
}
