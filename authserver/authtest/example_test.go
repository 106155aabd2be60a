package authtest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/bearer"

	"github.com/hallpass-auth/hallpass/authserver/authtest"
)

// Test an API with a user who logs in.
func Example() {
	t := new(testing.T) // the one that go test passes to your test
	server := authtest.NewServer(t)
	defer server.Close() // a real t does that

	server.AddUser(authtest.User{Username: "ada", Name: "Ada Lovelace"})
	server.AddClient(authtest.Client{ID: "app", Scope: "profile reports:read"})
	handler := server.Guard(authtest.Audience).Require("reports:read")(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			caller, _ := bearer.FromContext(r.Context())
			fmt.Fprintf(w, "Reports of %s", caller.Name)
		}))

	for _, scope := range []string{"profile reports:read", "profile"} {
		token := server.Token(authtest.Request{Client: "app", User: "ada", Scope: scope})
		request := httptest.NewRequest(http.MethodGet, "/reports", nil)
		token.SetAuthHeader(request)
		response := httptest.NewRecorder()
		handler.ServeHTTP(response, request)
		fmt.Println(response.Code, response.Body)
	}
	// Output:
	// 200 Reports of Ada Lovelace
	// 403 {"title":"Forbidden","status":403,"detail":"The access token lacks a scope that this needs"}
}
