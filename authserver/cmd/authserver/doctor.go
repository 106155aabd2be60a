package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/doctor"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
)

// doctorCommand checks both servers as a client sees them.
type doctorCommand struct {
	Database       server.Database  `embed:""`
	Keys           keyring.Settings `embed:""`
	Issuer         string           `group:"Servers" env:"HALLPASS_ISSUER" default:"${issuer}" placeholder:"URL" help:"The authorization server (${default})."`
	Audience       string           `group:"Servers" env:"HALLPASS_AUDIENCE" default:"${audience}" placeholder:"URL" help:"Identifier of the API (${default})."`
	API            string           `name:"api" group:"Servers" placeholder:"URL" help:"URL of the API, if it is not its identifier."`
	APIPath        string           `name:"api-path" group:"Servers" default:"/users/me" placeholder:"PATH" help:"Operation of the API that a user may call with GET (${default})."`
	Replica        []string         `group:"Servers" placeholder:"URL" sep:"none" help:"Address of a single authorization server behind the issuer, such as http://10.0.0.1:9000. Repeat for more."`
	TrustedProxies []string         `group:"Servers" env:"HALLPASS_TRUSTED_PROXIES" placeholder:"NETWORK" help:"The setting of the servers, to compare it with the signs of a proxy."`

	Client      string `group:"An app that fails" placeholder:"ID" help:"Its client_id."`
	RedirectURI string `group:"An app that fails" placeholder:"URI" help:"Its redirect_uri."`
	Origin      string `group:"An app that fails" placeholder:"ORIGIN" help:"Origin of its web page, such as https://app.example, if scripts of the page call the servers."`
	Scope       string `group:"An app that fails" placeholder:"SCOPES" help:"The scopes that it asks for."`
	SecretFile  string `group:"An app that fails" placeholder:"PATH" help:"File with the secret that it sends."`
	Request     string `group:"An app that fails" placeholder:"URL" help:"The address to which it sends browsers, as copied from one. It replaces --client, --redirect-uri and --scope."`

	Timeout time.Duration `default:"5s" help:"How long a response, and the effect of a revocation, may take (${default})."`
	JSON    bool          `help:"Print JSON."`
}

// Help says what the command does to the servers.
func (c *doctorCommand) Help() string {
	return `Run it where the authorization server runs, with the same settings.
It adds a user and two clients to the database, whose names begin with doctor-, and deletes them at the end.
It sends requests only to the servers above and to the addresses that their metadata names.

Exit code 0 means that nothing has failed, 1 that something has, 2 a wrong command line.`
}

// Validate checks the flags. kong calls it before Run.
func (c *doctorCommand) Validate() error {
	for _, u := range append([]string{c.Issuer, c.API, c.Origin}, c.Replica...) {
		parsed, err := url.Parse(u)
		if u != "" && (err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https") {
			return fmt.Errorf("%q is not an http or https URL", u)
		}
	}
	if u, err := url.Parse(c.Origin); err == nil && c.Origin != "" && c.Origin != u.Scheme+"://"+u.Host {
		return fmt.Errorf("--origin must be %s://%s: an origin has no path and no slash at its end", u.Scheme, u.Host)
	}
	api, err := url.Parse(c.api())
	if err != nil || api.Host == "" {
		return errors.New("--audience (HALLPASS_AUDIENCE) is not a URL: name that of the API with --api")
	}
	if !strings.HasPrefix(c.APIPath, "/") {
		return errors.New("--api-path must begin with a slash")
	}
	if c.Client == "" && c.Request == "" && (c.RedirectURI != "" || c.Scope != "" || c.SecretFile != "") {
		return errors.New("--redirect-uri, --scope and --secret-file are about an app: name it with --client")
	}
	if c.Timeout <= 0 {
		return fmt.Errorf("--timeout must be positive, not %v", c.Timeout)
	}
	return c.Database.Validate()
}

// api returns the URL of the API, without a slash at the end.
func (c *doctorCommand) api() string { return strings.TrimSuffix(cmp.Or(c.API, c.Audience), "/") }

// Run runs the checks and prints the findings as they come.
func (c *doctorCommand) Run(ctx context.Context, streams program.Streams) error {
	app, err := c.app()
	if err != nil {
		return program.WithCode(program.ExitUsage, err)
	}
	cfg := doctor.Config{
		Issuer: c.Issuer, Audience: c.Audience, API: c.api(), APIPath: c.APIPath, Replicas: c.Replica,
		Origin: c.Origin, App: app, TrustedProxies: c.TrustedProxies,
		Timeout: c.Timeout, RevocationTimeout: c.Timeout,
	}
	cfg.Keys, cfg.KeysErr = c.keys()
	s, err := server.OpenExistingStore(ctx, c.Database)
	if err == nil {
		cfg.Store = s
		defer func() { _ = s.Close() }()
	}
	cfg.StoreErr = err
	var findings []doctor.Finding
	err = doctor.Run(ctx, cfg, func(f doctor.Finding) {
		findings = append(findings, f)
		if !c.JSON {
			printFinding(streams.Out, f)
		}
	})
	if c.JSON {
		err = errors.Join(err, printJSON(streams.Out, findings))
	}
	return errors.Join(err, failures(findings))
}

// keys opens the keys of the authorization server. Without a setting there are none.
func (c *doctorCommand) keys() (keyring.Source, error) {
	switch {
	case c.Keys.KeysFile != "":
		file, err := keyring.Open(c.Keys.KeysFile)
		if err != nil {
			return nil, fmt.Errorf("--keys-file (HALLPASS_KEYS_FILE) %s: %w", c.Keys.KeysFile, err)
		}
		return file, nil
	case c.Keys.TokenSecret != "":
		ring, err := keyring.FromSecret(c.Keys.TokenSecret)
		if err != nil {
			return nil, fmt.Errorf("--token-secret (HALLPASS_TOKEN_SECRET): %w", err)
		}
		return ring, nil
	}
	return nil, nil
}

// app returns the app to explain; nil if none is named.
func (c *doctorCommand) app() (*doctor.App, error) {
	app := &doctor.App{ClientID: c.Client, RedirectURI: c.RedirectURI, Request: url.Values{}}
	if c.Scope != "" {
		if _, err := oauth.ParseScope(c.Scope); err != nil {
			return nil, fmt.Errorf("--scope: %w", err)
		}
		app.Request.Set("scope", c.Scope)
	}
	if c.Request != "" {
		u, err := url.Parse(c.Request)
		if err != nil {
			return nil, errors.New("--request is not a URL")
		}
		app.Request, app.Complete = u.Query(), true
		app.ClientID, app.RedirectURI = app.Request.Get("client_id"), app.Request.Get("redirect_uri")
		if app.ClientID == "" {
			return nil, errors.New("--request has no client_id: copy the whole address to which the app sends the browser")
		}
	}
	if app.ClientID == "" {
		return nil, nil
	}
	if c.SecretFile != "" {
		text, err := os.ReadFile(c.SecretFile)
		if err != nil {
			return nil, fmt.Errorf("--secret-file: %w", err)
		}
		app.Secret = strings.TrimRight(string(text), "\r\n")
	}
	return app, nil
}

// printFinding prints a finding, and on a second line what to do.
func printFinding(w io.Writer, f doctor.Finding) {
	fmt.Fprintf(w, "%-8s %-16s %s\n", f.Verdict, f.Check, f.Found)
	if f.Advice != "" {
		fmt.Fprintf(w, "%25s -> %s\n", "", f.Advice)
	}
}

// failures returns an error if a check has failed.
func failures(findings []doctor.Finding) error {
	n := 0
	for _, f := range findings {
		if f.Verdict == doctor.Failed {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d checks failed", n, len(findings))
}
