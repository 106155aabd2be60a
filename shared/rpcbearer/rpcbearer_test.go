package rpcbearer_test

import (
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/bearertest"
	"github.com/hallpass-auth/hallpass/shared/rpcbearer"
)

var methods = rpcbearer.Methods{
	"/stock.v1.Stock/Get":  rpcbearer.Scopes("items:read"),
	"/stock.v1.Stock/Set":  rpcbearer.UserScopes("items:read", "items:write"),
	"/stock.v1.Stock/Ping": rpcbearer.Public(),
	"/stock.v1.Stock/Who":  {},
}

// The table decides who may call a method, and a method that is not in it is refused.
func TestAuthenticate(t *testing.T) {
	issuer := bearertest.New(t)
	guard := issuer.Guard()
	service := issuer.Claims("items:read", "items:write")
	service.Subject = "reporter"
	for name, tt := range map[string]struct {
		method, token string
		reason        string // empty if the call is allowed
	}{
		"scope":             {"Get", issuer.Token("items:read"), ""},
		"other scope":       {"Get", issuer.Token("items:write"), "INSUFFICIENT_SCOPE"},
		"no token":          {"Get", "", "NOT_AUTHENTICATED"},
		"not a token":       {"Get", "x", "INVALID_TOKEN"},
		"user":              {"Set", issuer.Token("items:read", "items:write"), ""},
		"service":           {"Set", issuer.Sign(service), "INVALID_TOKEN"},
		"one of two scopes": {"Set", issuer.Token("items:write"), "INSUFFICIENT_SCOPE"},
		"public":            {"Ping", "", ""},
		"public, bad token": {"Ping", "x", ""},
		"any token":         {"Who", issuer.Token(), ""},
		"unlisted":          {"Delete", issuer.Token("items:read"), "METHOD_NOT_LISTED"},
	} {
		var authorization []string
		if tt.token != "" {
			authorization = []string{"Bearer " + tt.token}
		}
		ctx, refusal := methods.Authenticate(t.Context(), guard, "/stock.v1.Stock/"+tt.method, authorization)
		if refusal != nil {
			if got := rpcbearer.Reason(refusal); got != tt.reason {
				t.Errorf("%s: refused with %s, want %q", name, got, tt.reason)
			}
			continue
		}
		if _, ok := bearer.FromContext(ctx); tt.reason != "" || ok != (tt.method != "Ping") {
			t.Errorf("%s: allowed, with claims: %v; want %q", name, ok, tt.reason)
		}
	}
	twice := []string{"Bearer " + issuer.Token("items:read"), "Bearer x"}
	if _, refusal := methods.Authenticate(t.Context(), guard, "/stock.v1.Stock/Get", twice); refusal == nil ||
		rpcbearer.Reason(refusal) != "INVALID_REQUEST" {
		t.Errorf("two tokens: %+v", refusal)
	}
}

// Check names the methods that differ.
func TestCheck(t *testing.T) {
	served := []string{"/stock.v1.Stock/Get", "/stock.v1.Stock/Set", "/stock.v1.Stock/Ping", "/stock.v1.Stock/Who"}
	if err := methods.Check(served); err != nil {
		t.Error(err)
	}
	err := methods.Check(append(served[1:], "/stock.v1.Stock/Delete"))
	for _, want := range []string{
		"/stock.v1.Stock/Delete is served and not in the table", "/stock.v1.Stock/Get is in the table and not served",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
