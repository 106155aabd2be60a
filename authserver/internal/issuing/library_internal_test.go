package issuing

import (
	"net/url"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// BenchmarkLibrary measures go-oauth2's part of a token request: the steps of the grant return at once.
func BenchmarkLibrary(b *testing.B) {
	c := client.Client{ID: "service", SecretDigest: "digest", Scope: oauth.Scope{"items:read"}}
	of := steps{
		refresh: grant.Grant{ClientID: c.ID, UserID: "usr_1", Scope: c.Scope},
		scope:   func(oauth.Scope) (oauth.Scope, error) { return c.Scope, nil },
		issue:   func(oauth.Scope) (oauth.TokenResponse, error) { return oauth.TokenResponse{AccessToken: "token"}, nil },
	}
	for name, form := range map[string]url.Values{
		"client_credentials": {"grant_type": {"client_credentials"}},
		"refresh":            {"grant_type": {"refresh_token"}, "refresh_token": {"hpr_token"}},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := viaLibrary(b.Context(), Request{Client: c, Form: form}, of); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
