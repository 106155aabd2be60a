package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// loginLifetime is how long a login may take, and clockMargin how much the clocks of both servers may differ.
const (
	loginLifetime = 10 * time.Minute
	clockMargin   = 5 * time.Second
)

// begin sends the browser to the authorization server. With a deletion, the user must log in again there, even
// if the browser is logged in.
func (s *website) begin(w http.ResponseWriter, r *http.Request, deletion *deletion) {
	current := s.sessions.get(r)
	current.login = &login{
		state:    rand.Text(),
		nonce:    rand.Text(),
		verifier: oauth2.GenerateVerifier(),
		began:    time.Now(),
		deletion: deletion,
	}
	options := []oauth2.AuthCodeOption{
		oidc.Nonce(current.login.nonce),
		oauth2.S256ChallengeOption(current.login.verifier),
	}
	if deletion != nil {
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	}
	if !s.sessions.put(w, r, current) {
		s.fail(w, http.StatusBadRequest, errLoggedOut.Error())
		return
	}
	http.Redirect(w, r, s.client.AuthCodeURL(current.login.state, options...), http.StatusSeeOther)
}

var (
	// errLogin means that a callback belongs to no login of the browser.
	errLogin = errors.New("this login was not begun in this browser, or it has taken too long")
	// errLoggedOut means that the user has logged out while the request was served.
	errLoggedOut = errors.New("you have logged out in the meantime")
)

// callback finishes a login, and then what it was for.
func (s *website) callback(w http.ResponseWriter, r *http.Request) {
	begun, ok := s.sessions.takeLogin(r, r.FormValue("state"))
	if !ok {
		s.fail(w, http.StatusBadRequest, errLogin.Error())
		return
	}
	current := s.sessions.get(r)
	if code := r.FormValue("error"); code != "" {
		current.notice = "Nothing was done: the login was canceled (" + code + ")."
		s.sessions.put(w, r, current)
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	user, err := s.redeem(r.Context(), r.FormValue("code"), begun)
	if err != nil {
		s.fail(w, http.StatusBadGateway, "The login failed: "+err.Error())
		return
	}
	before := current.user
	current.user = user
	if begun.deletion != nil {
		current.notice = s.deleteAs(r.Context(), before, user, *begun.deletion)
	}
	if !s.sessions.put(w, r, current) {
		s.fail(w, http.StatusBadRequest, errLoggedOut.Error()+". "+current.notice)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// deleteAs deletes an item for the user who has logged in again, and returns the notice for the next page.
func (s *website) deleteAs(ctx context.Context, before, now *user, d deletion) string {
	if before == nil || before.subject != now.subject {
		return "Nothing was deleted: somebody else has logged in."
	}
	if err := s.items.remove(ctx, now.token, d); err != nil {
		return "Nothing was deleted. " + explain(err)
	}
	return "Item " + d.number + " was deleted."
}

// redeem redeems a code, and checks the ID token (OpenID Connect Core section 3.1.3.7).
func (s *website) redeem(ctx context.Context, code string, begun login) (*user, error) {
	tokens, err := s.client.Exchange(ctx, code, oauth2.VerifierOption(begun.verifier))
	if err != nil {
		return nil, err
	}
	raw, _ := tokens.Extra("id_token").(string)
	id, err := s.provider.Verifier(&oidc.Config{ClientID: s.client.ClientID}).Verify(ctx, raw)
	if err != nil {
		return nil, err
	}
	var claims struct {
		Name     string `json:"name"`
		Username string `json:"preferred_username"`
		AuthTime int64  `json:"auth_time"`
	}
	if err := id.Claims(&claims); err != nil {
		return nil, err
	}
	if id.Nonce != begun.nonce {
		return nil, errors.New("the ID token is for another login")
	}
	if begun.deletion != nil && time.Unix(claims.AuthTime, 0).Before(begun.began.Add(-clockMargin)) {
		return nil, errors.New("you have to enter your password again for this")
	}
	name := cmp.Or(claims.Name, claims.Username, id.Subject)
	return &user{subject: id.Subject, name: name, token: tokens.AccessToken, idToken: raw, expires: tokens.Expiry}, nil
}
