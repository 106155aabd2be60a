package issuing_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// The redirect URI and the code verifier of these tests.
const callback = "https://app.example/callback"

var verifier = strings.Repeat("v", 43)

// session logs the user in, so that the app can get codes.
func (b *bench) session() {
	b.t.Helper()
	b.app.Grants = []oauth.GrantType{oauth.GrantAuthorizationCode}
	must(b.t, b.data.StartSession(b.t.Context(), store.NewSession{
		Digest: "session", User: b.user, CreatedAt: b.now, ExpiresAt: b.now.Add(time.Hour),
	}))
}

// redemption gives the app a code and returns its request to redeem it, with changes.
func (b *bench) redemption(e *issuing.Service, changes ...string) url.Values {
	b.t.Helper()
	return b.redemptionWith(e, verifier, changes...)
}

// redemptionWith is redemption with another code verifier.
func (b *bench) redemptionWith(e *issuing.Service, verifier string, changes ...string) url.Values {
	b.t.Helper()
	sum := sha256.Sum256([]byte(verifier))
	form := url.Values{
		"response_type": {"code"}, "client_id": {"app"}, "redirect_uri": {callback},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	to, err := e.Authorize(b.t.Context(), issuing.Authorization{
		Client: b.app, Form: form, API: b.api, UserID: b.user.ID, Session: "session", Scope: b.app.Scope,
	})
	must(b.t, err)
	u, err := url.Parse(to)
	must(b.t, err)
	return request(append([]string{
		"grant_type", "authorization_code", "code", u.Query().Get("code"), "redirect_uri", callback, "code_verifier",
		verifier,
	}, changes...)...)
}

// The response for a deleted user or client fits the request: it speaks of the code, not of a
// wrong password.
func TestCodeOfADeletedUserOrClient(t *testing.T) {
	for name, end := range map[string]func(b *bench) error{
		"disabled":       func(b *bench) error { return b.data.DisableUser(t.Context(), "john.doe", b.now) },
		"deleted":        func(b *bench) error { return b.data.DeleteUser(t.Context(), "john.doe", b.now) },
		"client deleted": func(b *bench) error { return b.data.DeleteClient(t.Context(), "app", b.now) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.session()
			e := issuing.New(b.cfg)
			r := b.redemption(e)
			must(t, end(b))
			answer, err := b.issue(e, r, b.app)
			var got *oauth.Error
			if !errors.As(err, &got) || got.Code != oauth.CodeInvalidGrant || !strings.Contains(got.Description, "revoked") ||
				answer != noTokens {
				t.Errorf("got %v, %v, want an invalid_grant about the code", answer, err)
			}
			b.expectGrants(0)
		})
	}
}

// The same for a service.
func TestDeletedService(t *testing.T) {
	b := newBench(t)
	b.app.Grants, b.app.SecretDigest = []oauth.GrantType{oauth.GrantClientCredentials}, "digest"
	must(t, b.data.DeleteClient(t.Context(), "app", b.now))
	answer, err := b.issue(issuing.New(b.cfg), request("grant_type", "client_credentials"), b.app)
	if !errors.Is(err, oauth.ErrInvalidClient) || answer != noTokens {
		t.Errorf("got %v, %v, want invalid_client", answer, err)
	}
}

// RFC 6749 section 4.1.3: a code is bound to its redirect URI. A request may leave it out, as in
// OAuth 2.1 (draft-ietf-oauth-v2-1 section 10.2), but not name another one, nor omit the verifier.
func TestRedirectURIOfACode(t *testing.T) {
	for name, tt := range map[string]struct {
		change []string
		want   error
	}{
		"the right one": {nil, nil},
		"none":          {[]string{"redirect_uri", ""}, nil},
		"another":       {[]string{"redirect_uri", "https://evil.example/callback"}, oauth.ErrInvalidGrant},
		"another end":   {[]string{"redirect_uri", callback + "/"}, oauth.ErrInvalidGrant},
		"none, another verifier": {[]string{"redirect_uri", "", "code_verifier", strings.Repeat("w", 43)},
			oauth.ErrInvalidGrant},
		"none, no verifier":          {[]string{"redirect_uri", "", "code_verifier", ""}, oauth.ErrInvalidRequest},
		"none, another code":         {[]string{"redirect_uri", "", "code", "hpc_x"}, oauth.ErrInvalidGrant},
		"none, the code of a client": {[]string{"redirect_uri", "", "client_id", "other"}, oauth.ErrInvalidGrant},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.session()
			e := issuing.New(b.cfg)
			r, by := b.redemption(e, tt.change...), b.app
			if id := r.Get("client_id"); id != "" {
				by.ID = id
			}
			if answer, err := b.issue(e, r, by); !errors.Is(err, tt.want) || (err == nil) != (answer != noTokens) {
				t.Errorf("got %v, %v, want %v", answer, err, tt.want)
			}
		})
	}
}

// RFC 7636 section 4.1 bounds the length of a code verifier. Clients use more characters than it
// allows, such as those of base64.
func TestCodeVerifier(t *testing.T) {
	for verifier, want := range map[string]error{
		strings.Repeat("v", 43):                                 nil,
		strings.Repeat("v", 128):                                nil,
		"dBjftJeZ4CVP+mB92K27uhbUJU1p1r/wW1gFWFOEjXk=":          nil,
		" !\"#$%&'()*+,-./:;<=>?@[]^_`{|}~" + "0123456789ABCDE": nil,
		strings.Repeat("v", 42):                                 oauth.ErrInvalidRequest,
		strings.Repeat("v", 129):                                oauth.ErrInvalidRequest,
		strings.Repeat("v", 42) + "\t":                          oauth.ErrInvalidRequest,
		strings.Repeat("v", 42) + "\x7f":                        oauth.ErrInvalidRequest,
		strings.Repeat("v", 42) + "é":                           oauth.ErrInvalidRequest,
	} {
		b := newBench(t)
		b.session()
		e := issuing.New(b.cfg)
		if _, err := b.issue(e, b.redemptionWith(e, verifier), b.app); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", verifier, err, want)
		}
	}
}

// A client that is registered for it may leave out PKCE. Its redirect URI is then required and
// compared (RFC 6749 section 4.1.3), and a verifier without a challenge is refused (RFC 9700
// section 2.1.1). If it does use PKCE, nothing changes.
func TestCodeWithoutPKCE(t *testing.T) {
	for _, tt := range []struct {
		name      string
		challenge bool
		changes   []string
		want      error
	}{
		{"neither", false, []string{"code_verifier", ""}, nil},
		{"no redirect URI", false, []string{"code_verifier", "", "redirect_uri", ""}, oauth.ErrInvalidRequest},
		{"another redirect URI", false, []string{"code_verifier", "", "redirect_uri", callback + "/"}, oauth.ErrInvalidGrant},
		{"a verifier only", false, nil, oauth.ErrInvalidGrant},
		{"a malformed verifier", false, []string{"code_verifier", "x"}, oauth.ErrInvalidRequest},
		{"both", true, nil, nil},
		{"both, no redirect URI", true, []string{"redirect_uri", ""}, nil},
		{"a challenge only", true, []string{"code_verifier", ""}, oauth.ErrInvalidGrant},
		{"another verifier", true, []string{"code_verifier", strings.Repeat("w", 43)}, oauth.ErrInvalidGrant},
	} {
		b := newBench(t)
		b.session()
		_, err := b.data.UpdateClient(t.Context(), "app", b.now, func(c client.Client) (client.Client, error) {
			c.WithoutPKCE = true
			return c, nil
		})
		must(t, err)
		b.app.WithoutPKCE = true
		e := issuing.New(b.cfg)
		form := url.Values{"response_type": {"code"}, "client_id": {"app"}, "redirect_uri": {callback}}
		if tt.challenge {
			sum := sha256.Sum256([]byte(verifier))
			form.Set("code_challenge", base64.RawURLEncoding.EncodeToString(sum[:]))
			form.Set("code_challenge_method", "S256")
		}
		to, err := e.Authorize(t.Context(), issuing.Authorization{
			Client: b.app, Form: form, API: b.api, UserID: b.user.ID, Session: "session", Scope: b.app.Scope,
		})
		must(t, err)
		u, err := url.Parse(to)
		must(t, err)
		answer, err := b.issue(e, request(append([]string{
			"grant_type", "authorization_code", "code", u.Query().Get("code"), "redirect_uri", callback,
			"code_verifier", verifier,
		}, tt.changes...)...), b.app)
		if !errors.Is(err, tt.want) || (err == nil) != (answer != noTokens) {
			t.Errorf("%s: got %v, %v, want %v", tt.name, answer, err, tt.want)
		}
	}
}
