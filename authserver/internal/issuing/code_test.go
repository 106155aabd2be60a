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

	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
)

// Where the codes of these tests are sent to, and the verifier that goes with them.
const callback = "https://app.example/callback"

var verifier = strings.Repeat("v", 43)

// session logs the user in, so that codes can be given, to the app.
func (b *bench) session() {
	b.t.Helper()
	b.app.Grants = []oauth.GrantType{oauth.GrantAuthorizationCode}
	must(b.t, b.data.CreateSession(b.t.Context(), "session", b.user, b.now, b.now.Add(time.Hour)))
}

// redemption gives the app a code and returns its request to redeem it, with changes.
func (b *bench) redemption(e *issuing.Service, changes ...string) url.Values {
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
		"grant_type", "authorization_code", "code", u.Query().Get("code"), "redirect_uri", callback, "code_verifier", verifier,
	}, changes...)...)
}

// Whose user or client is gone gets an answer that fits what was sent: no code has to do
// with a wrong password (RFC 6749 §5.2).
func TestCodeOfSomebodyWhoIsNoMore(t *testing.T) {
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
			if !errors.As(err, &got) || got.Code != oauth.CodeInvalidGrant || !strings.Contains(got.Description, "revoked") || answer != noTokens {
				t.Errorf("got %v, %v, want an invalid_grant that speaks of the code", answer, err)
			}
			b.expectGrants(0)
		})
	}
}

// The same for a service, behind which there is nobody but its client.
func TestServiceThatIsNoMore(t *testing.T) {
	b := newBench(t)
	b.app.Grants, b.app.SecretDigest = []oauth.GrantType{oauth.GrantClientCredentials}, "digest"
	must(t, b.data.DeleteClient(t.Context(), "app", b.now))
	answer, err := b.issue(issuing.New(b.cfg), request("grant_type", "client_credentials"), b.app)
	if !errors.Is(err, oauth.ErrInvalidClient) || answer != noTokens {
		t.Errorf("got %v, %v, want invalid_client", answer, err)
	}
}

// CHECKLIST 37: a code is bound to its redirect URI. A request may leave it out, as those
// of OAuth 2.1 do (draft-ietf-oauth-v2-1 §10.2), but not name another, nor do without the
// verifier.
func TestRedirectURIOfACode(t *testing.T) {
	for name, tt := range map[string]struct {
		change []string
		want   error
	}{
		"the right one":              {nil, nil},
		"none":                       {[]string{"redirect_uri", ""}, nil},
		"another":                    {[]string{"redirect_uri", "https://evil.example/callback"}, oauth.ErrInvalidGrant},
		"another end":                {[]string{"redirect_uri", callback + "/"}, oauth.ErrInvalidGrant},
		"none, another verifier":     {[]string{"redirect_uri", "", "code_verifier", strings.Repeat("w", 43)}, oauth.ErrInvalidGrant},
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
