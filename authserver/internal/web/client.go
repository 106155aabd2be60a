package web

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/assertion"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/clientmeta"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/ratelimit"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// errClient is returned for every failed client authentication. It does not distinguish an
// unknown client from a wrong secret.
var errClient = oauth.ErrInvalidClient.Describe(
	"client authentication failed: the client is unknown, or its secret is wrong or missing")

// errNoClient is returned if a request does not identify a client and there is no default
// client.
var errNoClient = oauth.ErrInvalidClient.Describe(
	"the request does not identify a client: send client_id, or an Authorization: Basic header")

// errBasic is returned for a malformed Authorization header.
var errBasic = oauth.ErrInvalidClient.Describe(
	"the Authorization header must be Basic, a space, and the base64 of client_id:client_secret, both form-encoded")

// credentials are the client credentials of a request: a secret or an assertion.
type credentials struct {
	id, secret, assertion string
}

// empty reports whether the request has no client credentials.
func (c credentials) empty() bool { return c == credentials{} }

// clientAuth authenticates clients (RFC 6749 section 2.3).
type clientAuth struct {
	clients       *issuing.Service
	assertions    *assertion.Verifier
	documents     *clientmeta.Documents
	defaultClient string
	unregistered  oauth.Scope // what clients that nobody has registered may have; empty means no limit
	failures      *ratelimit.Limiter
	now           func() time.Time
	log           *slog.Logger
}

func newClientAuth(cfg Config) *clientAuth {
	return &clientAuth{
		clients:       cfg.Tokens,
		assertions:    cfg.Assertions,
		documents:     cfg.Documents,
		defaultClient: cfg.DefaultClient,
		unregistered:  cfg.UnregisteredScope,
		failures:      ratelimit.New(cfg.Now, failureBurst, failureInterval),
		now:           cfg.Now,
		log:           cfg.Log,
	}
}

// authenticate returns the client of the request. A confidential client must send its
// secret or an assertion, and a public client must send neither. A request without client credentials is
// from the default client. Failures are logged with the reason.
func (a *clientAuth) authenticate(r *http.Request, form url.Values) (client.Client, error) {
	given, err := readCredentials(r, form)
	var c client.Client
	if err == nil {
		c, err = a.identify(r, given)
	}
	if err == nil {
		return c, nil
	}
	if f := failureOf(err); f.code == oauth.CodeInvalidClient || f.status == http.StatusTooManyRequests {
		a.logFailure(r, c, given, err)
	}
	return client.Client{}, err
}

// logFailure logs a failed client authentication. It logs the id of a registered client only,
// because an unknown id may be a misplaced secret.
func (a *clientAuth) logFailure(r *http.Request, c client.Client, given credentials, err error) {
	fields := []any{
		"event", "client_authentication_failed",
		"reason", failureReason(c, given, err, a.now()),
		"address", httpserver.Host(r.RemoteAddr),
	}
	if c.ID != "" {
		fields = append(fields, "client", c.ID)
	}
	a.log.WarnContext(r.Context(), "client authentication failed", fields...)
}

// failureReason returns the reason for the log, which the response does not give.
func failureReason(c client.Client, given credentials, err error, now time.Time) string {
	var protocol *oauth.Error
	var failed *assertionError
	switch {
	case errors.As(err, &failed):
		return failed.reason
	case errors.As(err, &protocol) && protocol != errClient:
		return protocol.Description // a fixed text about a malformed request
	case c.ID == "":
		return "unknown client"
	}
	return SecretFault(c, given.secret, now)
}

// SecretFault returns why a client cannot authenticate with a secret, in the words of the log; empty if it can.
// An empty secret means that the client sends none. An old secret may be accepted until later than now.
func SecretFault(c client.Client, secret string, now time.Time) string {
	switch {
	case c.Public() && secret != "":
		return "public client sent a secret"
	case c.Public():
		return ""
	case secret == "" && !c.HasSecret():
		return "missing assertion"
	case secret == "":
		return "missing secret"
	case !c.VerifySecret(secret, now):
		return "wrong secret"
	}
	return ""
}

// identify does what authenticate does, for credentials that have been read. With an error
// it returns the client that they name, if there is one.
func (a *clientAuth) identify(r *http.Request, given credentials) (client.Client, error) {
	if given.empty() {
		if a.defaultClient == "" {
			return client.Client{}, errNoClient
		}
		given.id = a.defaultClient
	}
	c, err := a.find(r.Context(), given.id)
	if err != nil && !errors.Is(err, record.ErrNotFound) {
		return client.Client{}, err
	}
	if given.assertion != "" {
		return c, a.verifyAssertion(r, c, given)
	}
	if c.ID != "" && c.Public() {
		if given.secret != "" { // not counted as a failure: there is no secret to guess
			return c, errClient
		}
		return c, nil
	}
	if c.VerifySecret(given.secret, a.now()) { // false for an unknown client, after the same work
		return c, nil
	}
	return c, a.countFailure(r, given.id, errClient)
}

// find returns a client with the scope that it may have now, or record.ErrNotFound. A client of a metadata document has
// no access while the settings do not accept its document.
func (a *clientAuth) find(ctx context.Context, id string) (client.Client, error) {
	if clientmeta.IsDocumentID(id) && a.documents.Check(id) != nil {
		return client.Client{}, record.ErrNotFound
	}
	c, err := a.clients.ClientByID(ctx, id)
	return a.limit(c), err
}

// limit returns a client with the scope that it may have now. The setting for clients that nobody has registered is
// also for those that were there before it. Their refresh tokens get less, too, but their grants stay as they are.
func (a *clientAuth) limit(c client.Client) client.Client {
	if c.Source != client.SourceAdministrator && len(a.unregistered) > 0 {
		c.Scope = c.Scope.Common(a.unregistered)
	}
	return c
}

// Limits on failed authentications of a client from a network (RFC 6749 section 10.10). Requests with the right
// secret do not count: a secret of 256 random bits cannot be guessed, and a client must not be locked out by others
// at its address.
const (
	failureBurst    = 20
	failureInterval = time.Second
)

// countFailure counts a failed authentication with a client id. It returns refused, or an *account.ThrottledError
// after too many failures.
func (a *clientAuth) countFailure(r *http.Request, id string, refused error) error {
	if a.failures.Allow(id[:min(len(id), client.MaxID)] + " " + ratelimit.Network(httpserver.Host(r.RemoteAddr))) {
		return refused
	}
	return &account.ThrottledError{Wait: failureInterval}
}

// readCredentials reads the client credentials from the Authorization header or from the
// form. It rejects a request that has both.
func readCredentials(r *http.Request, form url.Values) (credentials, error) {
	if c, found, err := readAssertion(r, form); found {
		return c, err
	}
	body := credentials{id: form.Get("client_id"), secret: form.Get("client_secret")}
	header := r.Header["Authorization"]
	if len(header) == 0 {
		return body, nil
	}
	basic, ok := parseBasic(header[0])
	switch {
	case len(header) > 1:
		return credentials{}, invalid("more than one Authorization header")
	case !ok:
		return credentials{}, errBasic
	case basic.empty():
		return body, nil // API consoles send this if the user leaves both fields empty
	case body.secret != "":
		return credentials{}, invalid("two client authentication methods: send an Authorization header or client_secret")
	case cmp.Or(body.id, basic.id) != basic.id:
		return credentials{}, invalid("client_id differs from the client in the Authorization header")
	}
	return basic, nil
}

// parseBasic parses HTTP Basic credentials with a form-encoded client id and secret (RFC
// 6749 section 2.3.1).
func parseBasic(header string) (credentials, bool) {
	scheme, encoded, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return credentials{}, false
	}
	decoded, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return credentials{}, false
	}
	id, secret, found := strings.Cut(string(decoded), ":")
	if !found {
		return credentials{}, false
	}
	var c credentials
	var errID, errSecret error
	c.id, errID = url.QueryUnescape(id)
	c.secret, errSecret = url.QueryUnescape(secret)
	return c, errID == nil && errSecret == nil && whyUnusable(c.id) == ""
}
