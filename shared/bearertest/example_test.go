package bearertest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/bearertest"
)

// Test a handler behind a guard, without an authorization server.
func Example() {
	t := new(testing.T) // the one that go test passes to your test
	issuer := bearertest.New(t)
	handler := issuer.Guard().Require("reports:read")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, _ := bearer.FromContext(r.Context())
		fmt.Fprintf(w, "Reports of %s", caller.Name)
	}))

	for _, scope := range []string{"reports:read", "items:read"} {
		request := httptest.NewRequest(http.MethodGet, "/reports", nil)
		request.Header.Set("Authorization", "Bearer "+issuer.Token(scope))
		response := httptest.NewRecorder()
		handler.ServeHTTP(response, request)
		fmt.Println(response.Code, response.Body)
	}
	// Output:
	// 200 Reports of John Doe
	// 403 {"title":"Forbidden","status":403,"detail":"The access token lacks a scope that this needs"}
}
