package bearertest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/bearertest"
)

// Each request that Authorize has prepared is accepted, once.
func TestAuthorize(t *testing.T) {
	issuer, key := bearertest.New(t), bearertest.NewKey(t)
	guard, bound := issuer.Guard(), issuer.BoundToken(key, "reports:read")
	for range 2 {
		r := httptest.NewRequest(http.MethodGet, "/reports?year=2026", nil)
		issuer.Authorize(r, key, bound)
		claims, refusal := guard.Authenticate(r, "reports:read")
		if refusal != nil || claims.KeyThumbprint != key.Thumbprint() {
			t.Fatalf("refused: %+v", refusal)
		}
		if _, refusal := guard.Authenticate(r, "reports:read"); refusal == nil {
			t.Error("the same request is accepted again")
		}
	}
}
