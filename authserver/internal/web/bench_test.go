package web_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// newQuietSite starts a site without a log: at its end, it would search the log for secrets.
func newQuietSite(b *testing.B) *site {
	s := newSite(b, func(cfg *web.Config) { cfg.Log = slog.New(slog.DiscardHandler) })
	s.hidden = nil // `make guard` would count the search for them
	return s
}

// exchange sends a token request to the handler and returns the tokens.
func (s *site) exchange(b *testing.B, form url.Values, changes ...change) oauth.TokenResponse {
	r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, f := range changes {
		f(r)
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	var tokens oauth.TokenResponse
	if err := json.Unmarshal(w.Body.Bytes(), &tokens); err != nil || tokens.AccessToken == "" {
		b.Fatalf("status %d: %s (%v)", w.Code, w.Body, err)
	}
	return tokens
}

// BenchmarkRefresh rotates a refresh token, on SQLite.
func BenchmarkRefresh(b *testing.B) {
	s := newQuietSite(b)
	s.addClient("refresher", "", oauth.GrantPassword, oauth.GrantRefreshToken)
	tokens := s.exchange(b, url.Values{
		"grant_type": {"password"}, "client_id": {"refresher"}, "username": {john}, "password": {password},
	})
	b.ReportAllocs()
	for b.Loop() {
		tokens = s.exchange(b, url.Values{
			"grant_type": {"refresh_token"}, "client_id": {"refresher"}, "refresh_token": {tokens.RefreshToken},
		})
	}
}

// BenchmarkClientCredentials issues tokens to a service, on SQLite.
func BenchmarkClientCredentials(b *testing.B) {
	s := newQuietSite(b)
	credentials := basic(reporter, s.secrets[reporter])
	b.ReportAllocs()
	for b.Loop() {
		s.exchange(b, url.Values{"grant_type": {"client_credentials"}}, credentials)
	}
}
