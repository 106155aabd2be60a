package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/authtest"
	"golang.org/x/oauth2"
)

// get returns the response to a request with the token, which may be nil.
func get(h http.Handler, path string, token *oauth2.Token) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if token != nil {
		token.SetAuthHeader(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestHandlers(t *testing.T) {
	server := authtest.NewServer(t)
	server.AddUser(authtest.User{Username: "ada", Name: "Ada Lovelace"})
	server.AddClient(authtest.Client{ID: "app", Scope: "profile reports:read"})
	handler := newHandler(server.Guard(authtest.Audience))
	request := authtest.Request{Client: "app", User: "ada"}
	allowed := server.Token(request)
	request.Scope = "profile"
	narrow := server.Token(request)

	paths := []string{"/http", "/mux/1", "/huma"}
	for _, path := range paths {
		if w := get(handler, path, nil); w.Code != http.StatusUnauthorized {
			t.Errorf("%s without a token: status %d, want 401", path, w.Code)
		}
		if w := get(handler, path, narrow); w.Code != http.StatusForbidden {
			t.Errorf("%s without the scope: status %d, want 403", path, w.Code)
		}
		if w := get(handler, path, allowed); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "Ada Lovelace") {
			t.Errorf("%s: status %d, %s", path, w.Code, w.Body)
		}
	}
	server.Revoke("app", allowed.RefreshToken)
	for _, path := range paths {
		for deadline := time.Now().Add(time.Minute); get(handler, path, allowed).Code != http.StatusUnauthorized; {
			if time.Now().After(deadline) {
				t.Fatalf("%s does not notice the revocation", path)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}
