package web_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"golang.org/x/oauth2"
)

// Somebody else's client logs in, in each of the ways it knows.
func TestOAuth2Client(t *testing.T) {
	s := newSite(t)
	for name, tt := range map[string]struct {
		id    string
		style oauth2.AuthStyle
	}{
		"public, in the body":       {public, oauth2.AuthStyleInParams},
		"public, in the header":     {public, oauth2.AuthStyleInHeader},
		"confidential, body":        {backend, oauth2.AuthStyleInParams},
		"confidential, header":      {backend, oauth2.AuthStyleInHeader},
		"confidential, found out":   {backend, oauth2.AuthStyleAutoDetect},
		"odd secret, in the header": {odd, oauth2.AuthStyleInHeader},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := oauth2.Config{
				ClientID: tt.id, ClientSecret: s.secrets[tt.id], Scopes: []string{"profile"},
				Endpoint: oauth2.Endpoint{TokenURL: s.url + "/token", AuthStyle: tt.style},
			}
			got, err := cfg.PasswordCredentialsToken(context.Background(), john, password)
			if err != nil {
				t.Fatal(err)
			}
			claims, err := s.verifier.Verify(t.Context(), got.AccessToken)
			if err != nil || claims.ClientID != tt.id || claims.Scope.String() != "profile" || got.Type() != "Bearer" ||
				got.ExpiresIn != 1800 {
				t.Errorf("token %+v says %+v, %v", got, claims, err)
			}
			s.hide(got.AccessToken)

			_, err = cfg.PasswordCredentialsToken(context.Background(), john, guess)
			var refusal *oauth2.RetrieveError
			if !errors.As(err, &refusal) || refusal.ErrorCode != "invalid_grant" ||
				refusal.ErrorDescription != "Incorrect username or password" ||
				refusal.Response.StatusCode != http.StatusBadRequest {
				t.Errorf("wrong password: %v", err)
			}
		})
	}
}
