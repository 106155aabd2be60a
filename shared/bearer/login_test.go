package bearer_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/bearertest"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// RFC 9470 section 3: a token of a login that is not good enough gets a challenge that says which one is.
func TestRequireLogin(t *testing.T) {
	t.Parallel()
	issuer := bearertest.New(t)
	now := time.Now().Truncate(time.Second)
	verifier, err := token.NewVerifier(token.VerifierConfig{
		Keys: issuer.Ring(), Issuer: bearertest.IssuerURL, Audience: bearertest.Audience,
		Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	guard := bearer.New(verifier, nil)
	const begin = `Bearer realm="` + bearertest.Audience + `", error="insufficient_user_authentication", ` +
		`error_description="The user must log in again, with more factors or more recently", scope="items:write"`
	twoFactors := bearer.UserLogin{ACRValues: []string{"2", "phr"}}
	recent := bearer.UserLogin{MaxAge: 5 * time.Minute}
	both := bearer.UserLogin{ACRValues: []string{"2"}, MaxAge: time.Minute}
	for _, tt := range []struct {
		name      string
		needs     bearer.UserLogin
		acr       string
		age       time.Duration // of the login; negative means that the token does not say
		status    int
		challenge string
	}{
		{"nothing needed", bearer.UserLogin{}, "", -1, http.StatusOK, ""},
		{"two factors", twoFactors, "2", time.Hour, http.StatusOK, ""},
		{"the other class", twoFactors, "phr", time.Hour, http.StatusOK, ""},
		{"one factor", twoFactors, "1", 0, http.StatusUnauthorized, begin + `, acr_values="2 phr"`},
		{"no acr", twoFactors, "", 0, http.StatusUnauthorized, begin + `, acr_values="2 phr"`},
		{"recent", recent, "1", 5 * time.Minute, http.StatusOK, ""},
		{"too old", recent, "2", 5*time.Minute + time.Second, http.StatusUnauthorized, begin + `, max_age="300"`},
		{"no auth_time", recent, "2", -1, http.StatusUnauthorized, begin + `, max_age="300"`},
		{"both", both, "2", time.Minute, http.StatusOK, ""},
		{"one of both", both, "2", time.Hour, http.StatusUnauthorized, begin + `, acr_values="2", max_age="60"`},
	} {
		claims := issuer.Claims("items:write")
		claims.ACR = tt.acr
		if tt.age >= 0 {
			claims.AuthTime = now.Add(-tt.age)
		}
		called := false
		handler := guard.RequireLogin(tt.needs, "items:write")(http.HandlerFunc(
			func(http.ResponseWriter, *http.Request) { called = true }))
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+issuer.Sign(claims))
		handler.ServeHTTP(w, r)
		if w.Code != tt.status || w.Header().Get("WWW-Authenticate") != tt.challenge ||
			called != (tt.status == http.StatusOK) {
			t.Errorf("%s: %d %s, want %d %s", tt.name, w.Code, w.Header().Get("WWW-Authenticate"), tt.status, tt.challenge)
		}
	}
}

// What RequireUser refuses, RequireLogin refuses in the same way.
func TestRequireLoginNeedsAToken(t *testing.T) {
	t.Parallel()
	issuer := bearertest.New(t)
	service := issuer.Claims("items:write")
	service.Subject, service.ClientID = "nightly", "nightly"
	handler := issuer.Guard().RequireLogin(bearer.UserLogin{MaxAge: time.Minute}, "items:write")(http.HandlerFunc(
		func(http.ResponseWriter, *http.Request) { t.Error("a request was let through") }))
	for authorization, want := range map[string]string{
		"":                                     `scope="items:write"`,
		"Bearer " + issuer.Token("items:read"): `error="insufficient_scope"`,
		"Bearer " + issuer.Sign(service):       `error="invalid_token"`,
	} {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		handler.ServeHTTP(w, r)
		if got := w.Header().Get("WWW-Authenticate"); !strings.Contains(got, want) || strings.Contains(got, "max_age") {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
