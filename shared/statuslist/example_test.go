package statuslist_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/statuslist"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// Publish a list, and look up tokens in it. An API uses package bearer, which does the second part.
func Example() {
	ring, err := keyring.FromSecret("a secret of 32 bytes or more, shared with the APIs")
	if err != nil {
		log.Fatal(err)
	}
	list := statuslist.NewList(1000)
	list.Revoke(17)

	// The authorization server publishes the list, signed with the key of its tokens.
	var issuer string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := time.Now()
		key, err := ring.Signer(now)
		if err != nil {
			log.Fatal(err)
		}
		text, err := statuslist.Sign(statuslist.Token{
			URI:       issuer + r.URL.Path,
			IssuedAt:  now,
			ExpiresAt: now.Add(time.Hour),
			TTL:       time.Second,
			List:      list,
		}, key)
		if err != nil {
			log.Fatal(err)
		}
		w.Header().Set("Content-Type", statuslist.MediaType)
		fmt.Fprint(w, text)
	}))
	defer server.Close()
	issuer = server.URL

	// The API fetches the list when a token refers to it.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	client, err := statuslist.Open(ctx, statuslist.Config{Keys: ring, Issuer: issuer, Audience: "https://api.example.com"})
	if err != nil {
		log.Fatal(err)
	}
	for _, index := range []int64{16, 17} {
		status := &token.Status{URI: issuer + statuslist.Path + "/0", Index: index}
		revoked, err := client.Revoked(ctx, &token.Claims{Status: status})
		fmt.Println(index, revoked, err)
	}
	// Output:
	// 16 false <nil>
	// 17 true <nil>
}
