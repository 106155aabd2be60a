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
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
)

// validClient returns a valid client.
func validClient() client.Client {
	return client.Client{
		ID: "app", Name: "App", Grants: []oauth.GrantType{oauth.GrantPassword}, Scope: oauth.Scope{"profile"},
	}
}

func TestValidateAccepts(t *testing.T) {
	t.Parallel()
	for _, id := range []string{
		"a", "9", "App", "my-app.v2_x", strings.Repeat("x", client.MaxID), "usr", "usr-1", "USR_1", "demo",
	} {
		c := validClient()
		c.ID = id
		if err := c.Validate(); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
	for _, name := range []string{"x", "Jürgen's \"App\" 😀", strings.Repeat("é", 64)} {
		c := validClient()
		c.Name = name
		if err := c.Validate(); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestValidateRejects(t *testing.T) {
	t.Parallel()
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
	for _, id := range []string{
		"", " ", "a b", "a/b", "a:b", "ä", "-a", ".a", "_a", "a\n", "a\x00", strings.Repeat("x", client.MaxID+1),
		"..", "a%20",
	} {
		tests["id "+id] = struct {
			change func(*client.Client)
			says   string
		}{func(c *client.Client) { c.ID = id }, "id"}
	}
	for name, tt := range tests {
		c := validClient()
		tt.change(&c)
		if err := c.Validate(); !errors.Is(err, client.ErrBad) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: got %v, want an error with %q", name, err, tt.says)
		}
	}
}

// RFC 9700 section 4.15.1: a client_id cannot equal the sub of a user.
func TestValidateRejectsUserIDs(t *testing.T) {
	t.Parallel()
	c := validClient()
	c.ID = account.IDPrefix + "x"
	if err := c.Validate(); !errors.Is(err, client.ErrBad) || !strings.Contains(err.Error(), account.IDPrefix) {
		t.Errorf("%s: got %v, want an error", c.ID, err)
	}
}

func TestGenerateSecret(t *testing.T) {
	t.Parallel()
	valid := regexp.MustCompile(`^hps_[A-Za-z0-9_-]{43}$`) // 256 bits
	seen := map[string]bool{}
	for range 100 {
		secret, digest, err := client.GenerateSecret(rand.Reader)
		if err != nil || !valid.MatchString(secret) || seen[secret] {
			t.Fatalf("got secret %q, %v, want a new one that matches %s", secret, err, valid)
		}
		seen[secret] = true
		sum := sha256.Sum256([]byte(secret))
		if want := base64.RawURLEncoding.EncodeToString(sum[:]); digest != want {
			t.Fatalf("the digest of %s is %s, want %s", secret, digest, want)
		}
	}
}

func TestGenerateSecretWithoutRandomness(t *testing.T) {
	t.Parallel()
	for _, random := range []io.Reader{bytes.NewReader(make([]byte, 31)), iotest.ErrReader(errors.New("no entropy"))} {
		if secret, digest, err := client.GenerateSecret(random); err == nil || secret != "" || digest != "" {
			t.Errorf("got %q, %q, %v, want an error", secret, digest, err)
		}
	}
}

func TestVerifySecret(t *testing.T) {
	t.Parallel()
	secret, digest, err := client.GenerateSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	confidential, public := client.Client{SecretDigest: digest}, client.Client{}
	if confidential.Public() || !public.Public() {
		t.Error("want the client with a secret to be confidential, and the other to be public")
	}
	if !confidential.VerifySecret(secret, time.Now()) {
		t.Error("the right secret is rejected")
	}
	for _, other := range []string{
		"", " ", secret + " ", secret[:len(secret)-1], strings.ToUpper(secret), digest, "hps_",
	} {
		if confidential.VerifySecret(other, time.Now()) {
			t.Errorf("%q is accepted instead of %q", other, secret)
		}
		if public.VerifySecret(other, time.Now()) {
			t.Errorf("%q is accepted as the secret of a public client", other)
		}
	}
}

// RFC 9700 section 2.4: a client may use only the grant types that it is registered for.
func TestAllows(t *testing.T) {
	t.Parallel()
	c := validClient()
	if !c.Allows(oauth.GrantPassword) {
		t.Error("the registered grant type is not allowed")
	}
	for _, other := range []oauth.GrantType{"", "Password", "client_credentials", "password "} {
		if c.Allows(other) || (client.Client{}).Allows(other) {
			t.Errorf("%q is allowed", other)
		}
	}
}
