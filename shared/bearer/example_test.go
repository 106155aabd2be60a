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
	"github.com/hallpass-auth/hallpass/shared/token"
)

const (
	issuer   = "https://login.example.com"
	audience = "https://api.example.com"
	secret   = "a secret of 32 bytes or more, shared with the authorization server"
)

// reports is the handler to protect. It runs only for a request with a valid token.
func reports(w http.ResponseWriter, r *http.Request) {
	caller, _ := bearer.FromContext(r.Context())
	fmt.Fprintf(w, "Reports of %s", caller.Name)
}

// Protect an API of your own. The handler runs only for a request with a valid access token that
// has the scope reports:read.
func Example() {
	ctx := context.Background()

	guard, err := bearer.Open(ctx, bearer.Config{
		Issuer:             issuer,
		Audience:           audience,
		TokenSecret:        secret,
		AllowMissingStatus: true, // not in production: the tokens of this example have no status list
	})
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("GET /reports", guard.Require("reports:read")(http.HandlerFunc(reports)))

	get("/reports", "")
	get("/reports", accessToken("items:read"))
	get("/reports", accessToken("reports:read"))
	// Output:
	// 401 {"title":"Unauthorized","status":401,"detail":"Not authenticated"}
	// 403 {"title":"Forbidden","status":403,"detail":"The access token lacks a scope that this needs"}
	// 200 Reports of John Doe
}

// get sends a request to http.DefaultServeMux and prints the response.
func get(path, accessToken string) {
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil)
	if accessToken != "" {
		r.Header.Set("Authorization", "Bearer "+accessToken)
	}
	http.DefaultServeMux.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
}

// accessToken signs a token as the authorization server does when a user logs in.
func accessToken(scope string) string {
	ring, err := keyring.FromSecret(secret)
	if err != nil {
		log.Fatal(err)
	}
	signer, now := token.Signer{Keys: ring}, time.Now()
	raw, err := signer.Sign(&token.Claims{
		Issuer: issuer, Audience: []string{audience}, Subject: "usr_1", Name: "John Doe",
		ClientID: "web", ID: "1", Scope: oauth.Scope{scope}, IssuedAt: now, ExpiresAt: now.Add(time.Minute),
	})
	if err != nil {
		log.Fatal(err)
	}
	return raw
}
