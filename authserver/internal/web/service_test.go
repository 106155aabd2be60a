package web_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
)

// service is a client that requests, refreshes and introspects tokens.
const service = "service"

// addService registers the client service.
func (s *site) addService() {
	s.t.Helper()
	s.addClient(service, "service-secret", oauth.GrantClientCredentials, oauth.GrantPassword, oauth.GrantRefreshToken)
	_, err := s.data.UpdateClient(s.t.Context(), service, s.clock(), func(c client.Client) (client.Client, error) {
		c.Introspects, c.IntrospectsFor = true, []string{client.DefaultAPI}
		return c, nil
	})
	s.must(err)
}

// response has members of the responses to the client service.
type response struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Active  bool   `json:"active"`
	Error   string `json:"error"`
}

// call sends a form of the client service to an endpoint, without a network.
func (s *site) call(path string, form url.Values) (got response) {
	s.t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(s.t.Context(), http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", urlencoded)
	r.SetBasicAuth(service, s.secrets[service])
	s.handler.ServeHTTP(w, r)
	s.must(json.Unmarshal(w.Body.Bytes(), &got))
	return got
}

// mustCall is call for a request that must succeed.
func (s *site) mustCall(path string, form url.Values) response {
	s.t.Helper()
	got := s.call(path, form)
	if got.Error != "" {
		s.t.Fatalf("%s %v: %s", path, form, got.Error)
	}
	return got
}

var (
	credentialsForm = url.Values{"grant_type": {"client_credentials"}}
	passwordForm    = url.Values{"grant_type": {"password"}, "username": {john}, "password": {password}}
)

func refreshForm(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
}

func tokenForm(token string) url.Values { return url.Values{"token": {token}} }
