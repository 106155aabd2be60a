package doctor

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
)

// pollInterval is the time between two requests to the API while a revocation spreads.
const pollInterval = 5 * time.Millisecond

// notLoggedIn is the result of checks that need tokens.
var notLoggedIn = result{verdict: Skipped, text: "the login has failed"}

// checkIDToken verifies the ID token as a client does (OpenID Connect Core section 3.1.3.7).
func (e *exam) checkIDToken(ctx context.Context) result {
	switch {
	case e.metadata != nil && !e.openID():
		return skipped("OpenID Connect is off: %s", issuing.OpenIDOff)
	case !e.visit.loggedIn:
		return notLoggedIn
	case e.visit.tokens.IDToken == "":
		return failed("Read the log of the authorization server.", "the scope openid gave no ID token")
	}
	doc, err := e.web.send(ctx, get(e.metadata.JWKSURI))
	if err != nil {
		return failed("Check that clients can reach jwks_uri.", "the published keys cannot be reached: %s", why(err))
	}
	ring, err := keyring.Parse(doc.body)
	if err != nil {
		return failed("Check that a proxy does not change the document.", "the published keys cannot be read: %v", err)
	}
	const advice = "Give all servers behind the issuer the same HALLPASS_KEYS_FILE, and let no proxy cache " +
		"jwks_uri for longer than its header says."
	claims := jwt.MapClaims{}
	parsed, err := jwt.ParseWithClaims(e.visit.tokens.IDToken, claims, keyIn(ring),
		jwt.WithIssuer(e.cfg.Issuer), jwt.WithAudience(e.visit.clientID), jwt.WithTimeFunc(e.cfg.Now),
		jwt.WithLeeway(time.Minute), jwt.WithValidMethods(keyring.IDTokenAlgorithms))
	switch {
	case err != nil:
		return failed(advice, "the ID token is not valid: %v", err)
	case claims["nonce"] != e.visit.nonce:
		return failed(advice, "the ID token has another nonce than the request")
	}
	return ok("signed with %s by a published key, for this client and this login", parsed.Method.Alg())
}

// keyIn returns a function that finds the key of a token.
func keyIn(ring *keyring.Ring) jwt.Keyfunc {
	return func(t *jwt.Token) (any, error) {
		for _, k := range ring.Keys() {
			if k.ID == t.Header["kid"] && k.Algorithm == t.Method.Alg() {
				return k.VerificationKey(), nil
			}
		}
		return nil, fmt.Errorf("key %v is not published", t.Header["kid"])
	}
}

// call calls the API with the access token.
func (e *exam) call(ctx context.Context) (*response, error) {
	r := get(e.cfg.API+e.cfg.APIPath).with("Authorization", "Bearer "+e.visit.tokens.AccessToken)
	return e.web.send(ctx, r)
}

// mayCall returns a result that is not OK if the access token is not sent to the API.
func (e *exam) mayCall() result {
	switch {
	case !e.visit.loggedIn:
		return notLoggedIn
	case e.guarded == nil:
		return skipped("the API does not refuse a request without a token")
	case e.resource != nil && e.resource.Resource != e.cfg.Audience:
		return skipped("the API calls itself %s, and the token is for %s", e.resource.Resource, e.cfg.Audience)
	case e.resource != nil && e.resource.DPoPRequired:
		return skipped("the API requires DPoP (HALLPASS_REQUIRE_DPOP), and this check has a bearer token")
	}
	return ok("")
}

// checkAccessToken calls the API with the access token.
func (e *exam) checkAccessToken(ctx context.Context) result {
	if r := e.mayCall(); r.verdict != OK {
		return r
	}
	resp, err := e.call(ctx)
	switch {
	case err != nil:
		return failed("Check the API.", "the API cannot be reached: %s", why(err))
	case resp.status == http.StatusUnauthorized:
		return e.explainRefusal()
	case resp.status == http.StatusForbidden:
		return failed("Name an operation for which the scopes of the API's metadata suffice: --api-path /path.",
			"the API wants another scope for %s: %s", e.cfg.APIPath, resp.header.Get("WWW-Authenticate"))
	case resp.status == http.StatusServiceUnavailable:
		return failed("Check HALLPASS_STATUS_LISTS_URL and HALLPASS_KEYS_URL of the API, and that it can reach them; its "+
			"log has the reason.", "the API cannot tell whether the token is valid, and responds with status 503")
	case resp.status >= http.StatusInternalServerError:
		return failed("Read the API's log.", "the API responds with status %d", resp.status)
	}
	return ok("the API accepts a token that was just issued, so issuer, audience, keys and clocks agree")
}

// explainRefusal returns why the API refuses a token with 401, as far as that can be seen from here.
func (e *exam) explainRefusal() result {
	claims := jwt.MapClaims{}
	t, _, err := jwt.NewParser().ParseUnverified(e.visit.tokens.AccessToken, claims)
	if err != nil {
		return failed("Read the log of the authorization server.", "the access token is not a JWT")
	}
	issuer, err := claims.GetIssuer()
	if e.resource != nil && err == nil && !slices.Contains(e.resource.AuthorizationServers, issuer) {
		return failed("Set HALLPASS_ISSUER to the same text in both servers.",
			"the token is from %s, and the API accepts those of %s", issuer,
			strings.Join(e.resource.AuthorizationServers, ", "))
	}
	return failed("Give the API the current keys: with 'authserver key export' a new file for its HALLPASS_KEYS_FILE, or "+
		"HALLPASS_KEYS_URL for keys that are published. Its log has the reason for each refused token.",
		"the API refuses a token that was just issued; issuer and audience agree, so it does not have the key %v (%s), "+
			"or its clock is wrong", t.Header["kid"], t.Method.Alg())
}

// checkIntrospection introspects the access token with a client that may.
func (e *exam) checkIntrospection(ctx context.Context) result {
	if !e.visit.loggedIn {
		return notLoggedIn
	}
	basic := base64.StdEncoding.EncodeToString([]byte(e.visit.serviceID + ":" + e.visit.secret))
	r := post(e.metadata.IntrospectionEndpoint, url.Values{"token": {e.visit.tokens.AccessToken}})
	resp, err := e.web.send(ctx, r.with("Authorization", "Basic "+basic))
	if err != nil {
		return failed("Check the proxy in front.", "the introspection endpoint cannot be reached: %s", why(err))
	}
	var found oauth.Introspection
	const advice = "Check that a proxy in front passes Authorization on, and that all replicas use the same database."
	switch {
	case resp.status != http.StatusOK:
		return failed(advice, "a client with a secret is refused: %s", resp.protocolError())
	case resp.decode(&found) != nil || !found.Active:
		return failed(advice, "a token that was just issued is not active")
	}
	return ok("a client with a secret sees that the token is active")
}

// refresh refreshes with a token and keeps the new tokens. It returns what is wrong.
func (e *exam) refresh(ctx context.Context, refreshToken string) string {
	return e.keep(e.web.send(ctx, post(e.metadata.TokenEndpoint, url.Values{
		"grant_type": {string(oauth.GrantRefreshToken)}, "refresh_token": {refreshToken}, "client_id": {e.visit.clientID},
	})))
}

// checkRefresh refreshes twice.
func (e *exam) checkRefresh(ctx context.Context) result {
	if !e.visit.loggedIn {
		return notLoggedIn
	}
	for i := range 2 {
		e.visit.previous = e.visit.tokens.RefreshToken
		if fault := e.refresh(ctx, e.visit.previous); fault != "" {
			e.visit.previous = ""
			return failed("Check that all replicas use the same database; the log has the reason.",
				"refresh %d is refused: %s", i+1, fault)
		}
		if e.visit.tokens.RefreshToken == e.visit.previous {
			return failed("Check that no proxy caches responses to POST.", "refresh %d gave the same refresh token", i+1)
		}
	}
	return ok("each gave a new refresh token")
}

// checkGrace sends the previous refresh token again.
func (e *exam) checkGrace(ctx context.Context) result {
	if e.visit.previous == "" {
		return skipped("the refreshes have failed")
	}
	current := e.visit.tokens.RefreshToken
	if fault := e.refresh(ctx, e.visit.previous); fault != "" {
		return warning("Set HALLPASS_REFRESH_GRACE to some seconds if users of apps with several tabs are logged out.",
			"a refresh token that is sent twice ends the login at once: %s", fault)
	}
	if e.visit.tokens.RefreshToken != current {
		return failed("Check that all replicas use the same database and the same keys.",
			"the second time it gave another successor")
	}
	return ok("it still works, and gives the same successor")
}

// checkRevocation revokes the login and calls the API until it refuses the access token.
func (e *exam) checkRevocation(ctx context.Context) result {
	if r := e.mayCall(); r.verdict != OK {
		return r
	}
	before, err := e.call(ctx)
	if err != nil || before.status >= http.StatusBadRequest {
		return skipped("the API does not accept the access token")
	}
	began := time.Now()
	resp, err := e.web.send(ctx, post(e.metadata.RevocationEndpoint, url.Values{
		"token": {e.visit.tokens.RefreshToken}, "client_id": {e.visit.clientID},
	}))
	if err != nil {
		return failed("Check the proxy in front.", "the revocation endpoint cannot be reached: %s", why(err))
	}
	if resp.status != http.StatusOK {
		return failed("The log of the authorization server has the reason.", "the revocation is refused: %s",
			resp.protocolError())
	}
	return e.awaitRefusal(ctx, began)
}

// awaitRefusal calls the API until it refuses the access token.
func (e *exam) awaitRefusal(ctx context.Context, began time.Time) result {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.RevocationTimeout)
	defer cancel()
	for {
		resp, err := e.call(ctx)
		if err == nil && resp.status == http.StatusUnauthorized {
			return ok("the API refuses the token %d ms after the revocation", time.Since(began).Milliseconds())
		}
		select {
		case <-ctx.Done():
			return failed("Check that the API reads status lists: HALLPASS_STATUS_LISTS_URL must lead to those of this "+
				"authorization server, and no proxy may cache them. The API's metric hallpass_status_list_age_seconds "+
				"says how old they are.",
				"the API still accepts the token %v after the revocation", e.cfg.RevocationTimeout)
		case <-time.After(pollInterval):
		}
	}
}
