// Command spa serves the files of a single-page app. The app logs its users in and calls the API by itself, from
// the browser, with the npm package oauth4webapi:
//
//	npm ci --prefix deploy/examples/spa --ignore-scripts
//	go run ./deploy/examples/spa
//
// The page is then at http://127.0.0.1:8401. Any server of files can take the place of this program, if it sends
// the same Content-Security-Policy.
package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

//go:embed static
var static embed.FS

// settings are what the scripts of the page read as config.json.
type settings struct {
	Issuer string `json:"issuer"`
	API    string `json:"api"`
	Client string `json:"client"`
	Scope  string `json:"scope"`
}

func main() {
	var s settings
	listen := flag.String("listen", "127.0.0.1:8401", "address to serve on")
	library := flag.String("library", "deploy/examples/spa/node_modules/oauth4webapi/build/index.js",
		"file of oauth4webapi")
	flag.StringVar(&s.Issuer, "issuer", "http://127.0.0.1:9000", "identifier of the authorization server")
	flag.StringVar(&s.API, "api", "http://127.0.0.1:8000", "URL of the API")
	flag.StringVar(&s.Client, "client", "spa", "client id")
	flag.StringVar(&s.Scope, "scope", "openid profile items:read", "scope to ask for")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen, *library, s); err != nil {
		log.Fatal(err)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, listen, library string, s settings) error {
	if _, err := os.Stat(library); err != nil {
		return fmt.Errorf("%w: install it with npm ci --prefix deploy/examples/spa --ignore-scripts", err)
	}
	handler, err := newHandler(library, s)
	if err != nil {
		return err
	}
	server := &http.Server{Addr: listen, Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	log.Printf("The page is at http://%s", listen)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// newHandler serves the files of the page. Its scripts are of this origin only, and call no other server than
// the two that they need.
func newHandler(library string, s settings) (http.Handler, error) {
	pages, err := fs.Sub(static, "static")
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(pages))
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, pages, "index.html")
	})
	mux.HandleFunc("GET /oauth4webapi.js", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, library)
	})
	mux.HandleFunc("GET /config.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(config) // an error means that the client has disconnected
	})
	policy := "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' " + s.Issuer + " " + s.API +
		"; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer") // the URL of the callback has a code
		w.Header().Set("Cache-Control", "no-cache")
		mux.ServeHTTP(w, r)
	}), nil
}
