package web_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// unreadable is a source of keys that cannot read new ones now.
type unreadable struct{ keyring.Source }

func (unreadable) Pending() bool { return true }

// While the server cannot read its keys, clients that invent keys cannot fill its log.
func TestUserinfoWithUnreadableKeys(t *testing.T) {
	s := newSite(t, func(cfg *web.Config) {
		var err error
		cfg.Verifier, err = token.NewVerifier(token.VerifierConfig{
			Keys: unreadable{cfg.Keys}, Issuer: issuer, Audience: audience, Now: cfg.Now,
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	// {"alg":"EdDSA","kid":"invented","typ":"at+jwt"}, {} and a signature of no key
	const invented = "eyJhbGciOiJFZERTQSIsImtpZCI6ImludmVudGVkIiwidHlwIjoiYXQrand0In0.e30.AAAA"
	for range 20 {
		if got, _ := s.userinfo(invented); got.status != http.StatusServiceUnavailable {
			t.Fatalf("status %d", got.status)
		}
	}
	const warning = `level=WARN msg="access token not checked"`
	if log := s.log.String(); strings.Count(log, warning) != 1 || strings.Count(log, "access token not checked") != 20 {
		t.Errorf("log\n%s", log)
	}
}
