package bff_test

import (
	"context"
	"log"
	"net/http"
	"os"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/bff"
)

// A page in the folder static, which calls the API at /api/.
func Example() {
	guard, err := bearer.Open(context.Background(), bearer.Config{
		Issuer:   "https://login.example.com",
		Audience: "https://api.example.com",
		KeysURL:  "https://login.example.com/jwks.json",
	})
	if err != nil {
		log.Fatal(err)
	}
	app, err := bff.New(bff.Config{
		Issuer:       "https://login.example.com",
		ClientID:     "shop",
		ClientSecret: os.Getenv("CLIENT_SECRET"),
		URL:          "https://shop.example.com",
		API:          "https://api.example.com",
		Secrets:      []string{os.Getenv("COOKIE_SECRET")},
		Scopes:       []string{"profile", "items:read"},
		Guard:        guard,
	})
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/bff/", app)
	http.Handle("/api/", app)
	http.Handle("/", http.FileServer(http.Dir("static")))
	log.Fatal(http.ListenAndServe("127.0.0.1:8400", nil))
}
