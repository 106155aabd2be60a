package bff

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Limits of logins.
const (
	loginTimeout     = time.Hour // from /bff/login to the callback
	maxReturnTo      = 512       // in bytes
	maxPendingLogins = 4         // in one browser
)

// pendingLogin is the content of the cookie of a login in progress. Each login has its own cookie, so that two
// tabs can log in at the same time.
type pendingLogin struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"` // of PKCE
	ReturnTo string `json:"r"`
	Began    int64  `json:"t"` // in seconds since 1970
}

// loginCookie returns the name of the cookie of a login.
func (h *Handler) loginCookie(state string) string {
	return h.cookies.prefix + "-login-" + state[:min(8, len(state))]
}

// login serves GET /bff/login. It sends the browser to the authorization server.
func (h *Handler) login(w http.ResponseWriter, r *http.Request) {
	returnTo, ok := h.returnTo(r.URL.Query())
	if !ok {
		showPage(w, http.StatusBadRequest, "This link is broken", "It leads to another site, or to no page of this app.")
		return
	}
	server, err := h.authServer(r.Context())
	if err != nil {
		h.cfg.Log.WarnContext(r.Context(), "login not started", "reason", err)
		showUnavailable(w)
		return
	}
	p := pendingLogin{
		State:    oauth2.GenerateVerifier(),
		Nonce:    oauth2.GenerateVerifier(),
		Verifier: oauth2.GenerateVerifier(),
		ReturnTo: returnTo,
		Began:    h.cfg.Now().Unix(),
	}
	text, err := h.cookies.seal("login", p)
	if err != nil {
		panic(err) // cannot happen: strings and a number can always be encoded
	}
	h.dropOldLogins(w, r)
	h.cookies.set(w, h.loginCookie(p.State), text, http.SameSiteLaxMode, loginTimeout)
	options := append(h.resource(), oidc.Nonce(p.Nonce), oauth2.S256ChallengeOption(p.Verifier))
	http.Redirect(w, r, server.config.AuthCodeURL(p.State, options...), http.StatusFound)
}

// dropOldLogins removes the cookies of logins in progress if there are too many: all cookies together must fit
// into the header of a request.
func (h *Handler) dropOldLogins(w http.ResponseWriter, r *http.Request) {
	var names []string
	for _, c := range r.Cookies() {
		if strings.HasPrefix(c.Name, h.loginCookie("")) {
			names = append(names, c.Name)
		}
	}
	if len(names) < maxPendingLogins {
		return
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		h.cookies.set(w, name, "", http.SameSiteLaxMode, 0)
	}
}

// localPath matches a path on this origin, with query and fragment, in printable ASCII. It excludes // and /\ at
// the beginning, which browsers read as another host, and control characters, which they ignore.
var localPath = regexp.MustCompile(`^/([!-.0-\[\]-~][!-\[\]-~]*)?$`)

// returnTo returns the path to visit after the login, and false if it is not a page of the app.
func (h *Handler) returnTo(query url.Values) (string, bool) {
	path := query.Get("return_to")
	if path == "" {
		return "/", true
	}
	u, err := url.Parse(path)
	if err != nil || len(path) > maxReturnTo || len(query["return_to"]) > 1 || !localPath.MatchString(path) ||
		u.Host != "" || u.Scheme != "" || !plainPath(u.Path) {
		return "", false
	}
	return path, !strings.HasPrefix(u.Path, "/bff/") && !strings.HasPrefix(u.Path, apiPath+"/")
}

// callback serves GET /bff/callback, the redirect URI (RFC 6749 section 4.1.2).
func (h *Handler) callback(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	p, ok := h.pending(r, query)
	if !ok {
		showPage(w, http.StatusBadRequest, "Please log in again",
			"This login was already used, is more than an hour old, or began in another browser or at another address.")
		return
	}
	h.cookies.set(w, h.loginCookie(p.State), "", http.SameSiteLaxMode, 0)
	s, err := h.complete(r.Context(), p, query)
	if err == nil {
		err = h.cookies.writeSession(w, r, s, h.cfg.Lifetime)
	}
	if err != nil {
		h.cfg.Log.WarnContext(r.Context(), "login failed", "reason", reason(err))
		showFailure(w, err)
		return
	}
	w.Header().Set("Location", p.ReturnTo) // http.Redirect would clean the path, and the fragment with it
	w.WriteHeader(http.StatusFound)
}

// pending returns the login that a callback belongs to.
func (h *Handler) pending(r *http.Request, query url.Values) (p pendingLogin, ok bool) {
	state := query.Get("state")
	if len(query["state"]) != 1 || state == "" {
		return p, false
	}
	text := h.cookies.value(r, h.loginCookie(state))
	if h.cookies.unseal("login", text, &p) != nil {
		return p, false
	}
	fresh := h.cfg.Now().Before(time.Unix(p.Began, 0).Add(loginTimeout))
	return p, fresh && subtle.ConstantTimeCompare([]byte(state), []byte(p.State)) == 1
}

// deniedError is an error code of the authorization endpoint (RFC 6749 section 4.1.2.1).
type deniedError string

// Error returns the code, as sent in the query of the callback.
func (e deniedError) Error() string {
	return fmt.Sprintf("the authorization server says %q", string(e))
}

// Errors of complete.
var (
	errMixUp   = errors.New("the callback is not from the issuer (RFC 9207)")
	errNoCode  = errors.New("the callback has no code")
	errIDToken = errors.New("the ID token is not valid")
	errRefused = errors.New("the Guard refuses the new access token: are its Issuer, Audience and keys right?")
)

// complete exchanges the code of a callback for tokens, and verifies the ID token.
func (h *Handler) complete(ctx context.Context, p pendingLogin, query url.Values) (*session, error) {
	server, err := h.authServer(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnavailable, err)
	}
	iss := query["iss"]
	if server.metadata.SendsIss && len(iss) != 1 || len(iss) > 0 && iss[0] != h.cfg.Issuer {
		return nil, errMixUp
	}
	if code := query.Get("error"); code != "" {
		return nil, deniedError(code)
	}
	if query.Get("code") == "" || len(query["code"]) != 1 {
		return nil, errNoCode
	}
	options := append(h.resource(), oauth2.VerifierOption(p.Verifier))
	tokens, err := server.config.Exchange(h.withClient(ctx), query.Get("code"), options...)
	if err != nil {
		return nil, err
	}
	now := h.cfg.Now()
	s := session{LoggedIn: now.Unix()}.withTokens(tokens, now)
	s.IDToken, _ = tokens.Extra("id_token").(string)
	switch err := verifyIDToken(ctx, server, s, p.Nonce); {
	case errors.Is(err, errUnavailable):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errIDToken, err)
	}
	if h.askGuard(ctx, s) != nil {
		return nil, errRefused
	}
	return s, nil
}

// verifyIDToken verifies the ID token of a login (OpenID Connect Core section 3.1.3.7).
func verifyIDToken(ctx context.Context, server *authServer, s *session, nonce string) error {
	id, err := verified(ctx, server, s.IDToken, (*oidc.IDTokenVerifier).Verify)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(nonce)) != 1 {
		return errors.New("its nonce is that of another login")
	}
	if id.AccessTokenHash == "" {
		return nil
	}
	return id.VerifyAccessToken(s.AccessToken)
}
