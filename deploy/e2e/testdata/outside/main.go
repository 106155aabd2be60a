// Command outside is a program outside of the repository, with handlers of three routers behind a guard.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/gorilla/mux"

	"github.com/hallpass-auth/hallpass/shared/bearer"
)

const scope = "reports:read"

// greet responds with the caller.
func greet(w http.ResponseWriter, r *http.Request) {
	caller, _ := bearer.FromContext(r.Context())
	fmt.Fprintf(w, "Hello %s", caller.Name)
}

type greeting struct{ Body string }

// newHandler returns handlers of net/http, gorilla/mux and huma.
func newHandler(guard *bearer.Guard) http.Handler {
	all := http.NewServeMux()
	all.Handle("GET /http", guard.Require(scope)(http.HandlerFunc(greet)))

	router := mux.NewRouter()
	router.Use(guard.Require(scope))
	router.HandleFunc("/mux/{id}", greet).Methods(http.MethodGet)
	all.Handle("/mux/", router)

	operations := http.NewServeMux()
	api := humago.New(operations, huma.DefaultConfig("Outside", "1.0.0"))
	huma.Get(api, "/huma", func(ctx context.Context, _ *struct{}) (*greeting, error) {
		caller, _ := bearer.FromContext(ctx)
		return &greeting{"Hello " + caller.Name}, nil
	})
	all.Handle("/huma", guard.Require(scope)(operations))
	return all
}

func main() {
	guard, err := bearer.Open(context.Background(), bearer.Config{
		Issuer:   os.Getenv("ISSUER"),
		Audience: os.Getenv("AUDIENCE"),
		KeysURL:  os.Getenv("ISSUER") + "/jwks.json",
	})
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: os.Getenv("LISTEN"), Handler: newHandler(guard)}
	log.Fatal(server.ListenAndServe())
}
