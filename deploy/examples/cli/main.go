// Command cli is an example of a command line program that logs its user in by the device grant
// (RFC 8628). Copy it, and change what it does with the API.
//
//	cli login     show a code, and wait until the user has approved it in a browser
//	cli get PATH  call the API
//	cli logout    end the login
//
// It keeps the tokens in a file that only its user can read. Any number of processes may run at once.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

func main() {
	if err := start(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "cli:", err)
		os.Exit(1)
	}
}

// start runs a command until it ends or the user presses Ctrl-C.
func start(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	// oauth2 takes the HTTP client from the context.
	return run(context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Timeout: 30 * time.Second}), args)
}

// cli is the program with its settings.
type cli struct {
	issuer   string // of the authorization server
	clientID string
	scope    string
	api      string // URL of the API, which is its audience too
	file     tokenFile
}

// run runs a command.
func run(ctx context.Context, args []string) error {
	var c cli
	flags := flag.NewFlagSet("cli", flag.ContinueOnError)
	flags.StringVar(&c.issuer, "issuer", "http://127.0.0.1:9000", "the authorization server")
	flags.StringVar(&c.clientID, "client", "cli", "the client_id of this program")
	flags.StringVar(&c.scope, "scope", "profile items:read", "the scopes to ask for")
	flags.StringVar(&c.api, "api", "http://127.0.0.1:8000", "the API")
	tokens := flags.String("tokens", "", "the file of the tokens (default: in the user's folder for settings)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	path, err := tokensPath(*tokens)
	if err != nil {
		return err
	}
	c.file = tokenFile(path)
	switch command := flags.Args(); {
	case len(command) == 1 && command[0] == "login":
		return c.login(ctx)
	case len(command) == 2 && command[0] == "get":
		return c.get(ctx, command[1])
	case len(command) == 1 && command[0] == "logout":
		return c.logout(ctx)
	}
	return fmt.Errorf("usage: cli [flags] login | get PATH | logout; 'cli -help' lists the flags")
}

// tokensPath returns the path of the file of the tokens.
func tokensPath(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	settings, err := os.UserConfigDir()
	return filepath.Join(settings, "hallpass-cli", "tokens.json"), err
}

// get calls the API and prints the response. A token that the API refuses is refreshed once: it may
// have been revoked, or the clock of this machine is wrong.
func (c *cli) get(ctx context.Context, path string) error {
	refused := ""
	for {
		access, err := c.accessToken(ctx, refused)
		if err != nil {
			return err
		}
		status, body, err := c.call(ctx, path, access)
		switch {
		case err != nil:
			return err
		case status == http.StatusUnauthorized && refused == "":
			refused = access
		case status != http.StatusOK:
			return fmt.Errorf("the API responds with %d: %s", status, body)
		default:
			fmt.Println(strings.TrimSpace(body))
			return nil
		}
	}
}

// maxBody bounds what is read of a response.
const maxBody = 1 << 20

// call calls the API once.
func (c *cli) call(ctx context.Context, path, access string) (status int, body string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.api+"/"+strings.TrimPrefix(path, "/"), nil)
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Authorization", "Bearer "+access)
	resp, err := httpClient(ctx).Do(r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }() // nothing is lost: the body was only read
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	return resp.StatusCode, string(text), err
}

// httpClient returns the HTTP client that main has put into the context.
func httpClient(ctx context.Context) *http.Client {
	if client, ok := ctx.Value(oauth2.HTTPClient).(*http.Client); ok {
		return client
	}
	return http.DefaultClient
}
