package web

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
)

// errClient is the answer to every client authentication that fails: it does not
// tell an unknown client from a wrong secret.
var errClient = oauth.ErrInvalidClient.Describe("client authentication failed: the client is unknown, or its secret is wrong or missing")

// credentials are what a request says about its client.
type credentials struct {
	id, secret string
}

// named reports whether the request says anything about a client at all.
func (c credentials) named() bool { return c.id != "" || c.secret != "" }

// clientAuth finds out which client is asking, and whether it is that client
// (RFC 6749 §2.3).
type clientAuth struct {
	clients       Clients
	defaultClient string
	guesses       *guessLimiter
	log           *slog.Logger
}

// authenticate returns the client of the request. A confidential client must prove
// itself, whatever the grant; a public one must not have a secret to offer. A
// request that names no client means the default client, which is public. The log says
// why one fails.
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
		a.record(r.Context(), c, given, err)
	}
	return client.Client{}, err
}

// record leaves a line in the log for whoever watches over the clients. It names those
// that exist only: what is sent for an id may be a secret.
func (a *clientAuth) record(ctx context.Context, c client.Client, given credentials, err error) {
	fields := []any{"event", "client_authentication_failed"}
	if c.ID != "" {
		fields = append(fields, "client", c.ID)
	}
	a.log.WarnContext(ctx, "client authentication failed", append(fields, "reason", whyNot(c, given, err))...)
}

// whyNot tells in the log what the answer does not.
func whyNot(c client.Client, given credentials, err error) string {
	var protocol *oauth.Error
	switch {
	case errors.As(err, &protocol) && protocol != errClient:
		return protocol.Description // of the form of the request, and a fixed text
	case c.ID == "":
		return "unknown client"
	case c.Public():
		return "a secret from a public client"
	case given.secret == "":
		return "no secret"
	}
	return "wrong secret"
}

// identify is authenticate for credentials that have been read. Beside an error stands
// the client that they name, if there is one.
func (a *clientAuth) identify(r *http.Request, given credentials) (client.Client, error) {
	if !given.named() {
		if a.defaultClient == "" {
			return client.Client{}, oauth.ErrInvalidClient.Describe("the request names no client: send client_id, or a client id and secret in an Authorization: Basic header")
		}
		given.id = a.defaultClient
	}
	c, err := a.clients.ClientByID(r.Context(), given.id)
	if err != nil && !errors.Is(err, client.ErrNotFound) {
		return client.Client{}, err
	}
	if c.ID != "" && c.Public() {
		if given.secret != "" { // no guess, since there is nothing to find: it must not slow others down
			return c, errClient
		}
		return c, nil
	}
	if c.VerifySecret(given.secret) { // for an unknown client too: it costs the same
		return c, nil
	}
	guesser := given.id[:min(len(given.id), client.MaxID)] + " " + host(r.RemoteAddr)
	return c, cmp.Or(a.guesses.failed(guesser), error(errClient))
}

// readCredentials reads them from the Authorization header or from the body, never
// from both.
func readCredentials(r *http.Request, form url.Values) (credentials, error) {
	body := credentials{id: form.Get("client_id"), secret: form.Get("client_secret")}
	header := r.Header["Authorization"]
	if len(header) == 0 {
		return body, nil
	}
	basic, ok := parseBasic(header[0])
	switch {
	case len(header) > 1:
		return credentials{}, invalid("there is more than one Authorization header")
	case !ok:
		return credentials{}, oauth.ErrInvalidClient.Describe("the Authorization header must be Basic with base64 of client id, colon and secret, the two form-encoded")
	case !basic.named():
		return body, nil // what API consoles send whose user has left both fields empty
	case body.secret != "":
		return credentials{}, invalid("the client authenticates in two ways: send either the Authorization header or client_secret")
	case cmp.Or(body.id, basic.id) != basic.id:
		return credentials{}, invalid("client_id differs from the client in the Authorization header")
	}
	return basic, nil
}

// parseBasic reads HTTP Basic credentials whose two parts are form-encoded
// (RFC 6749 §2.3.1).
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

// storable reports whether a text can be looked up in every database engine.
func storable(s string) bool {
	_, err := clean(url.Values{"client_id": {s}})
	return err == nil
}

// host is the address of a peer without its port.
func host(remoteAddr string) string {
	h, _, err := net.SplitHostPort(remoteAddr)
	if err != nil {
		return remoteAddr
	}
	return h
}
