// Command spa-bff serves a single-page app that has no tokens. Its scripts call the API through package bff,
// which logs users in and keeps the tokens:
//
//	CLIENT_SECRET=... go run ./deploy/examples/spa-bff -keys var/api-keys.json
//
// The page is then at http://127.0.0.1:8400.
package main

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"flag"
	"io/fs"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/bff"
)

//go:embed static
var static embed.FS

// policy is the Content-Security-Policy of the page: its scripts and requests are of this origin only.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

type settings struct {
	listen, url, issuer, client, api, audience, keys string
	backchannel, insecureCookies                     bool
	refreshBefore                                    time.Duration
}

func main() {
	var s settings
	flag.StringVar(&s.listen, "listen", "127.0.0.1:8400", "address to serve on")
	flag.StringVar(&s.url, "url", "", "origin of the page, if it is not http://LISTEN")
	flag.StringVar(&s.issuer, "issuer", "http://127.0.0.1:9000", "identifier of the authorization server")
	flag.StringVar(&s.client, "client", "spa-bff", "client id; its secret is in CLIENT_SECRET")
	flag.StringVar(&s.api, "api", "http://127.0.0.1:8000", "URL of the API")
	flag.StringVar(&s.audience, "audience", "", "identifier of the API, if it is not its URL")
	flag.StringVar(&s.keys, "keys", "", "the API's keys file; without it, a logout elsewhere is seen at the next refresh")
	flag.DurationVar(&s.refreshBefore, "refresh-before", 0, "how long before its expiry a token is refreshed")
	flag.BoolVar(&s.backchannel, "backchannel", false, "take back-channel logouts; with one replica only")
	flag.BoolVar(&s.insecureCookies, "insecure-cookies", false, "for browsers that refuse secure cookies of this machine")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, s); err != nil {
		log.Fatal(err)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, s settings) error {
	if s.url == "" {
		s.url = "http://" + s.listen
	}
	app, err := newApp(ctx, s)
	if err != nil {
		return err
	}
	pages, err := fs.Sub(static, "static")
	if err != nil {
		return err
	}
	files := http.FileServerFS(pages)
	mux := http.NewServeMux()
	mux.Handle("/bff/", app)
	mux.Handle("/api/", app)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Cache-Control", "no-cache")
		files.ServeHTTP(w, r)
	})
	server := &http.Server{Addr: s.listen, Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: time.Minute}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	log.Printf("The page is at %s", s.url)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// newApp returns the handler that logs users in and calls the API.
func newApp(ctx context.Context, s settings) (http.Handler, error) {
	cfg := bff.Config{
		Issuer:          s.issuer,
		ClientID:        s.client,
		ClientSecret:    os.Getenv("CLIENT_SECRET"),
		URL:             s.url,
		API:             s.api,
		Secrets:         cookieSecrets(),
		Scopes:          []string{"profile", "items:read"},
		RefreshBefore:   s.refreshBefore,
		InsecureCookies: s.insecureCookies,
	}
	if s.keys != "" {
		if s.audience == "" {
			s.audience = s.api
		}
		guard, err := bearer.Open(ctx, bearer.Config{Issuer: s.issuer, Audience: s.audience, KeysFile: s.keys})
		if err != nil {
			return nil, err
		}
		cfg.Guard = guard
	}
	if s.backchannel {
		cfg.Store = new(bff.MemoryStore)
	}
	return bff.New(cfg)
}

// cookieSecrets returns the secrets in COOKIE_SECRETS, which are separated by spaces.
func cookieSecrets() []string {
	if secrets := strings.Fields(os.Getenv("COOKIE_SECRETS")); len(secrets) > 0 {
		return secrets
	}
	log.Print("COOKIE_SECRETS is not set: all sessions end when this program stops, and it must be the only replica")
	return []string{rand.Text() + rand.Text()}
}
