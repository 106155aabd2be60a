// Package doctor plays a client against an authorization server and an API, and says in plain words what is wrong
// and what to change.
//
// It registers clients and a user of its own, logs in as a browser does, uses the tokens, and deletes what it has
// registered. It sends requests to the issuer, the API, the replicas that it is told, and the addresses that their
// metadata names. Findings never hold a secret, a token or a code.
package doctor

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"io"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// Verdict is the result of a check.
type Verdict string

// The verdicts.
const (
	OK      Verdict = "ok"
	Warning Verdict = "warning" // it works, but should be changed
	Failed  Verdict = "failed"
	Skipped Verdict = "skipped" // it could not be checked, or was not asked for
)

// Finding is what a check has found.
type Finding struct {
	// Check is the name of the check, and LooksAt what it looks at.
	Check   string `json:"check"`
	LooksAt string `json:"looks_at"`
	// Verdict is the result.
	Verdict Verdict `json:"verdict"`
	// Found says what is so or what is wrong.
	Found string `json:"found"`
	// Advice says what to change; empty if nothing.
	Advice string `json:"advice,omitempty"`
}

// Store is the database of the authorization server. *store.Store is one.
type Store interface {
	CreateUser(ctx context.Context, u account.User) error
	DeleteUser(ctx context.Context, username string, now time.Time) error
	CreateClient(ctx context.Context, c client.Client) error
	DeleteClient(ctx context.Context, id string, now time.Time) error
	ClientByID(ctx context.Context, id string) (client.Client, error)
	Clients(ctx context.Context, page record.Page) ([]client.Client, error)
	APIByAudience(ctx context.Context, audience string) (resource.API, error)
}

// Config says what to check.
type Config struct {
	// Issuer is the authorization server, and Audience the identifier of the API.
	Issuer, Audience string
	// API is the URL of the API, without a slash at the end, and APIPath the path of an operation that a user may
	// call with GET.
	API, APIPath string
	// Replicas are URLs of single authorization servers behind the issuer.
	Replicas []string
	// Origin is the origin of a web page whose scripts call both servers; empty for none.
	Origin string
	// App is an app to explain; nil for none.
	App *App

	// Store is the database; nil if it could not be opened, for the reason StoreErr.
	Store    Store
	StoreErr error
	// Keys are the keys of the authorization server; nil if they could not be read, for the reason KeysErr.
	Keys    keyring.Source
	KeysErr error
	// TrustedProxies are the networks of the servers' setting.
	TrustedProxies []string

	// Timeout limits each check, and RevocationTimeout the wait for a revocation. Zero means 5 seconds.
	Timeout, RevocationTimeout time.Duration
	// RootCAs verify the servers' certificates; nil means those of this machine.
	RootCAs *x509.CertPool
	// Now is the clock and Random the source of secrets. Their defaults are time.Now and crypto/rand.Reader.
	Now    func() time.Time
	Random io.Reader
}

// defaultTimeout is the default of both timeouts.
const defaultTimeout = 5 * time.Second

// check is one thing to look at. Checks run in order, and store in the exam what later ones need.
type check struct {
	name, looksAt string
	run           func(*exam, context.Context) result
}

// checks returns the checks of an exam.
func (e *exam) checks() []check {
	all := []check{
		{"metadata", "the metadata of the issuer (RFC 8414, OpenID Connect Discovery)", (*exam).checkMetadata},
		{"replicas", "the metadata of each replica", (*exam).checkReplicas},
		{"endpoints", "the endpoints that the metadata names", (*exam).checkEndpoints},
		{"api", "the API's response to a request without a token (RFC 6750 section 3)", (*exam).checkChallenge},
		{"api metadata", "the API's metadata (RFC 9728), and the way from it to the issuer", (*exam).checkResource},
		{"clocks", "the Date headers of both servers", (*exam).checkClocks},
		{"tls", "certificates and Strict-Transport-Security", (*exam).checkTLS},
		{"proxy", "the settings for a proxy in front", (*exam).checkProxy},
		{"keys", "the age of the keys, and the next rotation", (*exam).checkKeys},
		{"cors", "what scripts of web pages may call", (*exam).checkCORS},
		{"database", "whether the servers use the database of this command", (*exam).checkDatabase},
		{"login", "a login with a code and PKCE, on a loopback redirect with another port", (*exam).checkLogin},
		{"id token", "the ID token, with the published keys (OpenID Connect)", (*exam).checkIDToken},
		{"access token", "whether the API accepts the access token", (*exam).checkAccessToken},
		{"introspection", "whether introspection knows the access token (RFC 7662)", (*exam).checkIntrospection},
		{"refresh", "two refreshes, one after the other", (*exam).checkRefresh},
		{"refresh grace", "a refresh token that is sent again, as by two tabs", (*exam).checkGrace},
		{"revocation", "how long a revoked access token is still accepted", (*exam).checkRevocation},
	}
	if e.cfg.App != nil {
		all = append(all, appChecks...)
	}
	return all
}

// Run runs all checks and passes each finding to report as soon as it is known. It returns the cause if ctx ends.
// What it has registered is deleted in any case.
func Run(ctx context.Context, cfg Config, report func(Finding)) error {
	cfg.Timeout = cmp.Or(cfg.Timeout, defaultTimeout)
	cfg.RevocationTimeout = cmp.Or(cfg.RevocationTimeout, defaultTimeout)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	e := newExam(cfg)
	defer func() {
		if r := e.cleanUp(context.WithoutCancel(ctx)); r.verdict != OK {
			report(r.finding(check{name: "clean up", looksAt: "what this command has registered"}))
		}
	}()
	for _, c := range e.checks() {
		r := e.runOne(ctx, c)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		report(r.finding(c))
	}
	return nil
}

// runOne runs a check with its timeout.
func (e *exam) runOne(ctx context.Context, c check) result {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Timeout+e.cfg.RevocationTimeout)
	defer cancel()
	return c.run(e, ctx)
}

// exam is a run: the configuration, and what the checks have learned so far.
type exam struct {
	cfg Config
	web *browser

	metadata *oauth.Metadata // of the issuer; nil until it was read, and if it names another issuer
	issuer   *response       // its document
	guarded  *response       // the API's response without a token; nil unless the API refused it
	resource *apiMetadata    // nil until it was read
	visit    visit           // what was registered, and the tokens
}

func newExam(cfg Config) *exam { return &exam{cfg: cfg, web: newBrowser(cfg)} }

// result is a finding without its check.
type result struct {
	verdict      Verdict
	text, advice string
}

func (r result) finding(c check) Finding {
	return Finding{Check: c.name, LooksAt: c.looksAt, Verdict: r.verdict, Found: r.text, Advice: r.advice}
}

func ok(format string, args ...any) result {
	return result{verdict: OK, text: fmt.Sprintf(format, args...)}
}

func skipped(format string, args ...any) result {
	return result{verdict: Skipped, text: fmt.Sprintf(format, args...)}
}

// failed returns a failure. The rest is its text.
func failed(advice, format string, args ...any) result {
	return result{verdict: Failed, text: fmt.Sprintf(format, args...), advice: advice}
}

// warning returns a warning. The rest is its text.
func warning(advice, format string, args ...any) result {
	return result{verdict: Warning, text: fmt.Sprintf(format, args...), advice: advice}
}
