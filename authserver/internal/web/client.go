package web

import (
	"cmp"
	"encoding/base64"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
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

// credentials are the client credentials of a request.
type credentials struct {
	id, secret string
}

// empty reports whether the request has no client credentials.
func (c credentials) empty() bool { return c == credentials{} }

// clientAuth authenticates clients (RFC 6749 section 2.3).
type clientAuth struct {
	clients       Clients
	defaultClient string
	failures      *failureLimiter
	log           *slog.Logger
}

func newClientAuth(cfg Config) *clientAuth {
	return &clientAuth{
		clients:       cfg.Clients,
		defaultClient: cfg.DefaultClient,
		failures:      newFailureLimiter(cfg.Now),
		log:           cfg.Log,
	}
}

// authenticate returns the client of the request. A confidential client must send its
// secret, and a public client must not send one. A request without client credentials is
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
		"reason", failureReason(c, given, err),
		"address", host(r.RemoteAddr),
	}
	if c.ID != "" {
		fields = append(fields, "client", c.ID)
	}
	a.log.WarnContext(r.Context(), "client authentication failed", fields...)
}

// failureReason returns the reason for the log, which the response does not give.
func failureReason(c client.Client, given credentials, err error) string {
	var protocol *oauth.Error
	switch {
	case errors.As(err, &protocol) && protocol != errClient:
		return protocol.Description // a fixed text about a malformed request
	case c.ID == "":
		return "unknown client"
	case c.Public():
		return "public client sent a secret"
	case given.secret == "":
		return "missing secret"
	}
	return "wrong secret"
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
	c, err := a.clients.ClientByID(r.Context(), given.id)
	if err != nil && !errors.Is(err, record.ErrNotFound) {
		return client.Client{}, err
	}
	if c.ID != "" && c.Public() {
		if given.secret != "" { // not counted as a failure: there is no secret to guess
			return c, errClient
		}
		return c, nil
	}
	if c.VerifySecret(given.secret) { // false for an unknown client, after the same work
		return c, nil
	}
	key := given.id[:min(len(given.id), client.MaxID)] + " " + account.Network(host(r.RemoteAddr))
	return c, cmp.Or(a.failures.record(key), error(errClient))
}

// readCredentials reads the client credentials from the Authorization header or from the
// form. It rejects a request that has both.
func readCredentials(r *http.Request, form url.Values) (credentials, error) {
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
	return c, errID == nil && errSecret == nil && storable(c.id)
}

// storable reports whether the text can be used in a query of every database engine.
func storable(s string) bool {
	_, err := clean(url.Values{"client_id": {s}})
	return err == nil
}

// host returns an address without its port.
func host(remoteAddr string) string {
	h, _, err := net.SplitHostPort(remoteAddr)
	if err != nil {
		return remoteAddr
	}
	return h
}
