package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/assertion"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/outbound"
)

// Responses to requests with an assertion. They do not say why it is not valid; the log does.
var (
	errAssertion = oauth.ErrInvalidClient.Describe(
		"client authentication failed: the client is unknown, or the assertion is not valid for it")
	errAssertionClient = oauth.ErrInvalidClient.Describe(
		"the request does not identify a client: send client_id with the assertion")
	errAssertionType = oauth.ErrInvalidClient.Describe("client_assertion_type must be " + assertion.Type)
)

// assertionError is a failed authentication by an assertion, with the reason for the log.
type assertionError struct {
	reason   string
	response error
}

func (e *assertionError) Error() string { return e.reason }

// Unwrap returns what the client is told.
func (e *assertionError) Unwrap() error { return e.response }

// readAssertion reads a client assertion (RFC 7521 section 4.2), if the form has one. A request
// that also authenticates by a secret is refused.
func readAssertion(r *http.Request, form url.Values) (c credentials, found bool, err error) {
	text, kind := form.Get("client_assertion"), form.Get("client_assertion_type")
	switch {
	case text == "" && kind == "":
		return credentials{}, false, nil
	case text == "" || kind == "":
		err = invalid("client_assertion and client_assertion_type must be sent together")
	case len(r.Header["Authorization"]) > 0 || form.Get("client_secret") != "":
		err = invalid("two client authentication methods: send an assertion, or a secret")
	case kind != assertion.Type:
		err = errAssertionType
	}
	if err != nil {
		return credentials{}, true, err
	}
	c = credentials{id: cmp.Or(form.Get("client_id"), assertion.ClientID(text)), assertion: text}
	if c.id == "" || whyUnusable(c.id) != "" {
		return credentials{}, true, errAssertionClient
	}
	return c, true, nil
}

// verifyAssertion authenticates a client, whose ID is empty if it is unknown, by the assertion of a
// request.
func (a *clientAuth) verifyAssertion(r *http.Request, c client.Client, given credentials) error {
	reason := "unknown client"
	if c.ID != "" {
		err := a.checkAssertion(r.Context(), c, given.assertion)
		if !errors.Is(err, assertion.ErrInvalid) {
			return err
		}
		reason = err.Error()
	}
	return &assertionError{reason: reason, response: a.countFailure(r, given.id, errAssertion)}
}

// checkAssertion is Verify with the keys that the client has now: a client metadata document may have changed since a
// user last allowed the client something.
func (a *clientAuth) checkAssertion(ctx context.Context, c client.Client, text string) error {
	if c.Source == client.SourceDocument && c.Assertion.Enabled() {
		current, err := a.documents.Assertion(ctx, c.ID)
		if errors.Is(err, outbound.ErrUnavailable) {
			return err
		}
		if err != nil {
			return fmt.Errorf("%w: %w", assertion.ErrInvalid, err)
		}
		c.Assertion = current
	}
	return a.assertions.Verify(ctx, c, text)
}
