package bearer_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/bearertest"
)

// The Authorization header lets a request through only if it is the scheme Bearer, in any letter case, spaces and the
// token (RFC 6750 section 2.1). Any other response has a challenge and repeats nothing of the header.
func FuzzAuthorization(f *testing.F) {
	issuer := bearertest.New(f)
	good := issuer.Token("items:read", "items:write")
	for _, template := range []string{
		"Bearer TOKEN", "bearer TOKEN", "Bearer  TOKEN", "Bearer TOKEN ", "Bearer\tTOKEN", "BearerTOKEN", "Bearer TOKENx",
		"Bearer TOKEN, Bearer TOKEN", "DPoP TOKEN", "Basic TOKEN", "Bearer \"TOKEN\"", "Bearer", "", "TOKEN", "\x00",
		"Bearer \xff",
	} {
		f.Add(template)
	}
	guard := open(f, issuer, slog.New(slog.DiscardHandler))
	handler := guard.Require("items:read")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	f.Fuzz(func(t *testing.T, template string) { // the token differs from run to run, so inputs have a word for it
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Authorization"] = []string{strings.ReplaceAll(template, "TOKEN", good)}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		scheme, rest, _ := strings.Cut(template, " ")
		want := strings.EqualFold(scheme, "Bearer") && strings.TrimLeft(rest, " ") == "TOKEN"
		if ok := w.Code == http.StatusOK; ok != want {
			t.Errorf("%q: status %d", template, w.Code)
		}
		challenge := w.Header().Get("WWW-Authenticate")
		challenged := strings.HasPrefix(challenge, "Bearer ") || strings.HasPrefix(challenge, "DPoP ")
		if !want && !(w.Code == http.StatusUnauthorized && challenged) && w.Code != http.StatusBadRequest {
			t.Errorf("%q: status %d, challenge %q", template, w.Code, challenge)
		}
		if strings.Contains(w.Body.String()+challenge, good) {
			t.Errorf("%q: the response has the token", template)
		}
	})
}
