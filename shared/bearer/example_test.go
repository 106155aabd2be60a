package bearer_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/statuslist"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// An API of one's own, protected: the handler runs only for a request with a good
// access token that has the scope, and knows whose it is.
func Example() {
	reports := func(w http.ResponseWriter, r *http.Request) {
		caller, _ := bearer.FromContext(r.Context())
		fmt.Fprintf(w, "Reports of %s", caller.Name)
	}

	ring, err := keyring.FromSecret("the secret that both tiers share, 32 bytes or more")
	check(err)
	lists, err := statuslist.Open(context.Background(), statuslist.Config{Keys: ring, Issuer: "https://login.example.com", Audience: "https://api.example.com"})
	check(err)
	verifier, err := token.NewVerifier(token.VerifierConfig{Keys: ring, Issuer: "https://login.example.com", Audience: "https://api.example.com", Revocations: lists})
	check(err)
	http.Handle("GET /reports", bearer.Require(verifier, "reports:read")(http.HandlerFunc(reports)))

	call("")
	call("Bearer " + accessToken(ring, "items:read"))
	call("Bearer " + accessToken(ring, "reports:read"))
	// Output:
	// 401 {"title":"Unauthorized","status":401,"detail":"Not authenticated"}
	// 403 {"title":"Forbidden","status":403,"detail":"The access token lacks a scope that this needs"}
	// 200 Reports of John Doe
}

// accessToken does what the authorization server does when somebody logs in.
func accessToken(ring *keyring.Ring, scope string) string {
	now := time.Now()
	raw, err := (&token.Signer{Keys: ring}).Sign(&token.Claims{
		Issuer: "https://login.example.com", Audience: []string{"https://api.example.com"},
		Subject: "usr_1", Name: "John Doe", ClientID: "web", ID: "1", Scope: oauth.Scope{scope},
		IssuedAt: now, ExpiresAt: now.Add(time.Minute),
	})
	check(err)
	return raw
}

func call(authorization string) {
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/reports", nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	http.DefaultServeMux.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
