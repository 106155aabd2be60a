package e2e_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

// callWith calls the API with the HTTP client of a library.
func (s *system) callWith(t *testing.T, client *http.Client, fullName string) {
	t.Helper()
	resp, err := client.Get(s.apiURL + "/users/me")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), fullName) {
		t.Errorf("got %d %s, want 200 and %s", resp.StatusCode, body, fullName)
	}
}

// golang.org/x/oauth2 logs in with each way to send the client's credentials, and calls the
// API with the token.
func TestOAuth2PasswordCredentialsToken(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	secret := strings.TrimSpace(s.admin(t, "", "client", "add", "backend",
		"--name", "Backend", "--grant", "password", "--scope", "profile items:read"))
	inParams := oauth2.Endpoint{AuthStyle: oauth2.AuthStyleInParams}
	inHeader := oauth2.Endpoint{AuthStyle: oauth2.AuthStyleInHeader}
	for _, row := range []struct {
		name   string
		config oauth2.Config
	}{
		{"public client, default", oauth2.Config{ClientID: "demo"}},
		{"public client, id in the body", oauth2.Config{ClientID: "demo", Endpoint: inParams}},
		{"public client, id in the header", oauth2.Config{ClientID: "demo", Endpoint: inHeader}},
		{"confidential client, default", oauth2.Config{ClientID: "backend", ClientSecret: secret}},
		{
			"confidential client, secret in the body",
			oauth2.Config{ClientID: "backend", ClientSecret: secret, Endpoint: inParams},
		},
		{
			"confidential client, with scopes",
			oauth2.Config{ClientID: "backend", ClientSecret: secret, Scopes: []string{"profile"}},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			config := row.config
			config.Endpoint.TokenURL = s.authURL + "/token"
			token, err := config.PasswordCredentialsToken(t.Context(), "john.doe", demoPassword)
			if err != nil {
				t.Fatal(err)
			}
			if life := time.Until(token.Expiry); life < 29*time.Minute || life > 31*time.Minute {
				t.Errorf("the library believes that the token is valid for %v, want 30 minutes", life)
			}
			s.callWith(t, config.Client(context.Background(), token), "John Doe")
		})
	}
	t.Run("a wrong password and a wrong secret are the errors of RFC 6749", func(t *testing.T) {
		config := s.goConfig("backend", secret)
		_, err := config.PasswordCredentialsToken(t.Context(), "john.doe", "wrong")
		checkRetrieveError(t, err, http.StatusBadRequest, "invalid_grant")
		config.ClientSecret = "wrong"
		_, err = config.PasswordCredentialsToken(t.Context(), "john.doe", demoPassword)
		checkRetrieveError(t, err, http.StatusUnauthorized, "invalid_client")
	})
}

// checkRetrieveError checks the library's error for a refused token request.
func checkRetrieveError(t *testing.T, err error, status int, code string) {
	t.Helper()
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) {
		t.Fatalf("got %v, want an oauth2.RetrieveError", err)
	}
	if refused.Response.StatusCode != status || refused.ErrorCode != code {
		t.Errorf("got %d %s, want %d %s", refused.Response.StatusCode, refused.ErrorCode, status, code)
	}
}
