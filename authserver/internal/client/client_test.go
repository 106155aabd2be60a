package client_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
)

// good returns a client with which nothing is wrong.
func good() client.Client {
	return client.Client{ID: "app", Name: "App", Grants: []oauth.GrantType{oauth.GrantPassword}, Scope: oauth.Scope{"profile"}}
}

func TestValidateAccepts(t *testing.T) {
	for _, id := range []string{"a", "9", "App", "my-app.v2_x", strings.Repeat("x", client.MaxID), "usr", "usr-1", "USR_1", "demo"} {
		c := good()
		c.ID = id
		if err := c.Validate(); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
	for _, name := range []string{"x", "Jürgen's \"App\" 😀", strings.Repeat("é", 64)} {
		c := good()
		c.Name = name
		if err := c.Validate(); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestValidateRefuses(t *testing.T) {
	tests := map[string]struct {
		change func(*client.Client)
		says   string
	}{
		"no name":                {func(c *client.Client) { c.Name = "" }, "name"},
		"long name":              {func(c *client.Client) { c.Name = strings.Repeat("x", 129) }, "128"},
		"name of spaces":         {func(c *client.Client) { c.Name = "   " }, "name begins or ends with a space"},
		"name with outer spaces": {func(c *client.Client) { c.Name = "a " }, "name begins or ends with a space"},
		"name not UTF-8":         {func(c *client.Client) { c.Name = "a\xff" }, "UTF-8"},
		"name with a line break": {func(c *client.Client) { c.Name = "a\nb" }, "printed"},
		"name with an escape":    {func(c *client.Client) { c.Name = "a\x1b[31mb" }, "printed"},
		"no grant type":          {func(c *client.Client) { c.Grants = nil }, "grant type"},
		"no scope":               {func(c *client.Client) { c.Scope = nil }, "scope"},
	}
	for _, id := range []string{"", " ", "a b", "a/b", "a:b", "ä", "-a", ".a", "_a", "a\n", "a\x00", strings.Repeat("x", client.MaxID+1), "..", "a%20"} {
		tests["id "+id] = struct {
			change func(*client.Client)
			says   string
		}{func(c *client.Client) { c.ID = id }, "id"}
	}
	for name, tt := range tests {
		c := good()
		tt.change(&c)
		if err := c.Validate(); !errors.Is(err, client.ErrBad) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want an error that says %q", name, err, tt.says)
		}
	}
}

// CHECKLIST 19: a client_id can never equal a user's sub.
func TestClientIsNoUser(t *testing.T) {
	c := good()
	c.ID = account.IDPrefix + "x"
	if err := c.Validate(); !errors.Is(err, client.ErrBad) || !strings.Contains(err.Error(), account.IDPrefix) {
		t.Errorf("%s: %v", c.ID, err)
	}
}

func TestGenerateSecret(t *testing.T) {
	form := regexp.MustCompile(`^hps_[A-Za-z0-9_-]{43}$`) // 256 bits
	seen := map[string]bool{}
	for range 100 {
		secret, digest, err := client.GenerateSecret(rand.Reader)
		if err != nil || !form.MatchString(secret) || seen[secret] {
			t.Fatalf("secret %q, %v", secret, err)
		}
		seen[secret] = true
		sum := sha256.Sum256([]byte(secret))
		if want := base64.RawURLEncoding.EncodeToString(sum[:]); digest != want {
			t.Fatalf("the digest of %s is %s, want %s", secret, digest, want)
		}
	}
}

func TestGenerateSecretNeedsRandomness(t *testing.T) {
	for _, random := range []io.Reader{bytes.NewReader(make([]byte, 31)), iotest.ErrReader(errors.New("no entropy"))} {
		if secret, digest, err := client.GenerateSecret(random); err == nil || secret != "" || digest != "" {
			t.Errorf("got %q, %q, %v", secret, digest, err)
		}
	}
}

func TestVerifySecret(t *testing.T) {
	secret, digest, err := client.GenerateSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	confidential, public := client.Client{SecretDigest: digest}, client.Client{}
	if confidential.Public() || !public.Public() {
		t.Error("a client with a secret is confidential, one without is public")
	}
	if !confidential.VerifySecret(secret) {
		t.Error("the right secret is refused")
	}
	for _, other := range []string{"", " ", secret + " ", secret[:len(secret)-1], strings.ToUpper(secret), digest, "hps_"} {
		if confidential.VerifySecret(other) {
			t.Errorf("%q is taken for %q", other, secret)
		}
		if public.VerifySecret(other) {
			t.Errorf("%q is taken for the secret of a client that has none", other)
		}
	}
}

// CHECKLIST 17: a grant type is off for a client unless it was switched on.
func TestAllows(t *testing.T) {
	c := good()
	if !c.Allows(oauth.GrantPassword) {
		t.Error("what it has is refused")
	}
	for _, other := range []oauth.GrantType{"", "Password", "client_credentials", "password "} {
		if c.Allows(other) || (client.Client{}).Allows(other) {
			t.Errorf("%q is allowed", other)
		}
	}
}
