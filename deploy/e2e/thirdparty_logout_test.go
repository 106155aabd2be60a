package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
)

// byeURL is where the relying party wants its users to return to after a logout.
const byeURL = "http://127.0.0.1/bye"

// tellLogouts registers a server of the relying party that is told of logouts, and returns the tokens that it gets.
func (r *relyingParty) tellLogouts(t *testing.T) <-chan string {
	t.Helper()
	got := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		got <- req.PostFormValue("logout_token")
	}))
	t.Cleanup(server.Close)
	r.restart(t, "--demo", "--insecure-fetch-from", strings.TrimPrefix(server.URL, "http://"))
	r.admin(t, "", "client", "set", "web", "--post-logout-redirect-uri", byeURL,
		"--backchannel-logout-uri", server.URL+"/backchannel")
	return got
}

// logoutOf waits for a logout token and verifies it with go-oidc. It must be about a session.
func (r *relyingParty) logoutOf(t *testing.T, got <-chan string, about *oidc.IDToken) {
	t.Helper()
	var raw string
	waitFor(t, "the logout token", func() bool {
		select {
		case raw = <-got:
			return true
		default:
			return false
		}
	}, r.authserver)
	verifier := r.provider.VerifierContext(t.Context(), &oidc.Config{ClientID: "web"})
	token, err := verifier.VerifyLogout(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	var of struct {
		Session string `json:"sid"`
	}
	if err := about.Claims(&of); err != nil {
		t.Fatal(err)
	}
	if token.Subject != about.Subject || token.SessionID != of.Session || of.Session == "" {
		t.Errorf("logout token %+v, want one about %s and the session %s", token, about.Subject, of.Session)
	}
}

// A relying party logs its user out by what it has discovered with go-oidc, and is told of every logout: its own,
// that of the page, and those of commands, which run in another process.
func TestThirdPartyLogout(t *testing.T) {
	t.Parallel()
	r := startRelyingParty(t, "HS256")
	got := r.tellLogouts(t)
	var metadata struct {
		EndSession string `json:"end_session_endpoint"`
		Supported  bool   `json:"backchannel_logout_supported"`
		Session    bool   `json:"backchannel_logout_session_supported"`
	}
	if err := r.provider.Claims(&metadata); err != nil || !metadata.Supported || !metadata.Session {
		t.Fatalf("metadata %+v, %v", metadata, err)
	}
	john := newPerson(t, "john.doe", demoPassword)
	end := func(parameters url.Values) {
		t.Helper()
		parameters.Set("post_logout_redirect_uri", byeURL)
		parameters.Set("state", "the state")
		back, err := url.Parse(john.visit(metadata.EndSession+"?"+parameters.Encode(), byeURL, "end"))
		if err != nil || back.Query().Get("state") != "the state" {
			t.Errorf("the browser is sent to %v, %v", back, err)
		}
	}

	tokens, id := r.login(t, john, "n1")
	raw, _ := tokens.Extra("id_token").(string)
	pages := len(john.forms)
	end(url.Values{"id_token_hint": {raw}})
	if len(john.forms) != pages {
		t.Error("the user was asked in spite of the hint")
	}
	r.logoutOf(t, got, id)
	if _, err := r.config.TokenSource(t.Context(), expired(tokens)).Token(); err == nil {
		t.Error("the refresh token still works")
	}

	_, id = r.login(t, john, "n2") // needs the password
	end(url.Values{"client_id": {"web"}})
	if last := john.forms[len(john.forms)-1]; last != "/end_session/confirm" {
		t.Errorf("the last form was %s: the user was not asked", last)
	}
	r.logoutOf(t, got, id)
	end(url.Values{"client_id": {"web"}}) // without a session

	for _, command := range [][]string{
		{"user", "logout", "john.doe", "--client", "web"},
		{"user", "logout", "john.doe"},
		{"user", "disable", "john.doe"},
	} {
		_, id = r.login(t, john, "n3")
		r.admin(t, "", command...)
		r.logoutOf(t, got, id)
	}
	if len(got) != 0 {
		t.Errorf("%d more logout tokens", len(got))
	}
}
