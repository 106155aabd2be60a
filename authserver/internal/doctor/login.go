package doctor

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/oauth"
)

// challengeOf returns the code challenge of a verifier.
func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// authorizationRequest returns the authorization request of the login.
func (e *exam) authorizationRequest() url.Values {
	scope := e.visit.scope.String()
	if e.openID() {
		scope += " openid"
	}
	return url.Values{
		"response_type": {"code"}, "client_id": {e.visit.clientID}, "redirect_uri": {requestedRedirect},
		"scope": {scope}, "resource": {e.cfg.Audience}, "state": {e.visit.nonce}, "nonce": {e.visit.nonce},
		"code_challenge": {challengeOf(e.visit.verifier)}, "code_challenge_method": {"S256"},
	}
}

func (e *exam) authorizationURL(parameters url.Values) string {
	return e.metadata.AuthorizationEndpoint + "?" + parameters.Encode()
}

// checkLogin logs in as a browser does, and redeems the code.
func (e *exam) checkLogin(ctx context.Context) result {
	if !e.visit.registered {
		return skipped("the server knows no client of this command")
	}
	back, fault := e.browse(ctx)
	if fault != "" {
		return failed("The log of the authorization server may say more. With "+
			"HALLPASS_SECOND_FACTOR=required, this command cannot log in.", "%s", fault)
	}
	answer := back.Query()
	switch {
	case answer.Get("error") != "":
		return failed("The text says what to change.", "the authorization endpoint refuses it: %s",
			errorText(answer.Get("error"), answer.Get("error_description")))
	case answer.Get("state") != e.visit.nonce || answer.Get("code") == "":
		return failed("Check that a proxy does not change redirects.",
			"the redirect to the client has no code or another state")
	case answer.Get("iss") != e.cfg.Issuer:
		return failed("Check that a proxy does not change redirects.", "the redirect names the issuer %q (RFC 9207)",
			answer.Get("iss"))
	}
	resp, err := e.web.send(ctx, post(e.metadata.TokenEndpoint, url.Values{
		"grant_type": {string(oauth.GrantAuthorizationCode)}, "code": {answer.Get("code")},
		"redirect_uri": {requestedRedirect}, "client_id": {e.visit.clientID}, "code_verifier": {e.visit.verifier},
	}))
	if fault := e.keep(resp, err); fault != "" {
		return failed("The log of the authorization server has the reason.", "the code is refused: %s", fault)
	}
	e.visit.loggedIn = true
	return ok("code, PKCE, consent and tokens; registered as %s and used as %s", registeredRedirect, requestedRedirect)
}

// keep stores the tokens of a response. It returns what is wrong.
func (e *exam) keep(resp *response, err error) string {
	if err != nil {
		return why(err)
	}
	var tokens oauth.TokenResponse
	if resp.status != http.StatusOK {
		return resp.protocolError()
	}
	if err := resp.decode(&tokens); err != nil {
		return err.Error()
	}
	if tokens.AccessToken == "" || tokens.RefreshToken == "" {
		return "the response lacks the access token or the refresh token"
	}
	if tokens.IDToken == "" {
		tokens.IDToken = e.visit.tokens.IDToken
	}
	e.visit.tokens = tokens
	return ""
}

// browse goes through the pages of the login until it is sent back to the client. It returns the URL, or what is
// wrong.
func (e *exam) browse(ctx context.Context) (back *url.URL, fault string) {
	next := get(e.authorizationURL(e.authorizationRequest()))
	for range maxPages {
		resp, err := e.web.send(ctx, next)
		if err != nil {
			return nil, "a page of the login cannot be reached: " + why(err)
		}
		if location := resp.header.Get("Location"); location != "" {
			u, err := resp.resolve(location)
			if err != nil {
				return nil, "a redirect of the login is no URL"
			}
			if strings.HasPrefix(u.String(), requestedRedirect+"?") {
				return u, ""
			}
			if to := originOf(u.String()); to != originOf(e.metadata.AuthorizationEndpoint) {
				return nil, "a redirect of the login leads to another server, " + to
			}
			next = get(u.String())
			continue
		}
		form, found := e.fillIn(resp)
		if !found {
			return nil, "a page of the login refuses it: " + pageText(resp)
		}
		next = form
	}
	return nil, fmt.Sprintf("the login does not end after %d pages", maxPages)
}

// resolve returns the URL that a response refers to.
func (r *response) resolve(reference string) (*url.URL, error) {
	base, err := url.Parse(r.url)
	if err != nil {
		return nil, err
	}
	return base.Parse(reference)
}

// Parts of our pages.
var (
	formAction  = regexp.MustCompile(`<form method="post" action="(/[a-z]+)"`)
	hiddenInput = regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)"`)
	errorInForm = regexp.MustCompile(`<p class="error"`)
	paragraph   = regexp.MustCompile(`<p>([^<]*)</p>`)
)

// fillIn returns the form of a login or consent page, filled in and sent as a browser does.
func (e *exam) fillIn(page *response) (r request, found bool) {
	action := formAction.FindSubmatch(page.body)
	if page.status != http.StatusOK || action == nil || errorInForm.Match(page.body) {
		return request{}, false
	}
	u, err := page.resolve(string(action[1]))
	if err != nil {
		return request{}, false
	}
	form := url.Values{}
	for _, input := range hiddenInput.FindAllSubmatch(page.body, -1) {
		form.Set(string(input[1]), html.UnescapeString(string(input[2])))
	}
	if string(action[1]) == "/login" {
		form.Set("username", e.visit.username)
		form.Set("password", e.visit.password)
	} else {
		form.Set("decision", "allow")
	}
	return post(u.String(), form).with("Origin", originOf(e.cfg.Issuer)).with("Sec-Fetch-Site", "same-origin"), true
}

// pageText returns the text of a page for people, or its status.
func pageText(page *response) string {
	var texts []string
	for _, p := range paragraph.FindAllSubmatch(page.body, -1) {
		texts = append(texts, html.UnescapeString(string(p[1])))
	}
	if len(texts) == 0 {
		return fmt.Sprintf("status %d", page.status)
	}
	return strings.Join(texts, " ")
}
