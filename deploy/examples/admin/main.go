// Command admin is a small website where administrators see, change and delete the items of everybody. It logs
// them in at Hallpass, with a code and PKCE, and calls the API with their tokens. What deletes needs a second
// login. It works without scripts.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// settings are those of the command line.
type settings struct {
	listen, site, issuer, api, client string
}

func main() {
	var s settings
	flag.StringVar(&s.listen, "listen", "127.0.0.1:7080", "address to serve on")
	flag.StringVar(&s.site, "url", "", "URL of this website; by default that of the address")
	flag.StringVar(&s.issuer, "issuer", "http://127.0.0.1:9000", "the authorization server")
	flag.StringVar(&s.api, "api", "http://127.0.0.1:8000", "the API")
	flag.StringVar(&s.client, "client", "item-admin", "client id; the variable ADMIN_CLIENT_SECRET has its secret")
	flag.Parse()
	s.site = strings.TrimSuffix(cmp.Or(s.site, "http://"+s.listen), "/")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, s); err != nil {
		slog.Error("stopped", "error", err)
		os.Exit(1)
	}
}

// serve serves until ctx ends.
func serve(ctx context.Context, s settings) error {
	provider, err := oidc.NewProvider(ctx, s.issuer)
	if err != nil {
		return fmt.Errorf("-issuer: %w", err)
	}
	site := &website{
		sessions: newSessions(s.site),
		items:    itemsAPI{base: s.api},
		provider: provider,
		client: oauth2.Config{
			ClientID:     s.client,
			ClientSecret: os.Getenv("ADMIN_CLIENT_SECRET"),
			Endpoint:     provider.Endpoint(),
			RedirectURL:  s.site + "/callback",
			Scopes:       []string{oidc.ScopeOpenID, "profile", "groups", "items:admin"},
		},
		issuer: s.issuer,
	}
	server := &http.Server{
		Addr:              s.listen,
		Handler:           site.handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      time.Minute,
		MaxHeaderBytes:    32 << 10,
	}
	context.AfterFunc(ctx, func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_ = server.Shutdown(ending) // requests that are still running end with the program
	})
	slog.Info("listening", "url", s.site)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
