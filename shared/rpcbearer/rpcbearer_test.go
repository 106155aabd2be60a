package rpcbearer_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/bearertest"
	"github.com/hallpass-auth/hallpass/shared/rpcbearer"
	"github.com/hallpass-auth/hallpass/shared/token"
)

var methods = rpcbearer.Methods{
	"/stock.v1.Stock/Get":  rpcbearer.Scopes("items:read"),
	"/stock.v1.Stock/Set":  rpcbearer.UserScopes("items:read", "items:write"),
	"/stock.v1.Stock/Ping": rpcbearer.Public(),
	"/stock.v1.Stock/Who":  {},
	"/stock.v1.Stock/Order": rpcbearer.LoginScopes(
		bearer.UserLogin{ACRValues: []string{"2", "phr"}, MaxAge: 5 * time.Minute}, "items:write"),
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

// A call has no proof of a key (DPoP), so a caller with a bound token is told to get another one, whatever it sends and
// whatever the guard accepts elsewhere.
func TestBoundToken(t *testing.T) {
	issuer, key := bearertest.New(t), bearertest.NewKey(t)
	bound := issuer.BoundToken(key, "items:read")
	for _, bearerOnly := range []bool{false, true} {
		guard, err := bearer.Open(t.Context(), bearer.Config{
			Issuer: bearertest.IssuerURL, Audience: bearertest.Audience, Keys: issuer.Ring(), AllowMissingStatus: true,
			BearerOnly: bearerOnly,
		})
		if err != nil {
			t.Fatal(err)
		}
		for authorization, reason := range map[string]string{
			"Bearer " + bound: "INVALID_TOKEN", "DPoP " + bound: "NOT_AUTHENTICATED",
		} {
			_, refusal := methods.Authenticate(t.Context(), guard, "/stock.v1.Stock/Get", []string{authorization})
			if refusal == nil {
				t.Errorf("%.6s: allowed", authorization)
				continue
			}
			challenge := rpcbearer.Details(refusal)["www_authenticate"]
			if rpcbearer.Reason(refusal) != reason || !strings.Contains(refusal.Detail, "accepts bearer tokens only") ||
				!strings.HasPrefix(challenge, "Bearer ") || len(refusal.Challenges()) != 1 {
				t.Errorf("%.6s: %+v, challenge %s", authorization, refusal, challenge)
			}
		}
	}
}

// RFC 9470: a method may need a login with more factors, or a recent one, and a refusal says which.
func TestLoginScopes(t *testing.T) {
	issuer := bearertest.New(t)
	guard := issuer.Guard()
	sign := func(acr string, age time.Duration, change func(*token.Claims)) string {
		claims := issuer.Claims("items:write")
		claims.ACR, claims.AuthTime = acr, time.Now().Add(-age)
		if change != nil {
			change(claims)
		}
		return issuer.Sign(claims)
	}
	const better = "INSUFFICIENT_USER_AUTHENTICATION"
	for name, tt := range map[string]struct {
		token  string
		reason string // empty if the call is allowed
	}{
		"two factors, now":  {sign("2", 0, nil), ""},
		"the other class":   {sign("phr", 0, nil), ""},
		"one factor":        {sign("1", 0, nil), better},
		"an hour ago":       {sign("2", time.Hour, nil), better},
		"in an hour":        {sign("2", -time.Hour, nil), better},
		"without auth_time": {sign("2", 0, func(c *token.Claims) { c.AuthTime = time.Time{} }), better},
		"service":           {sign("2", 0, func(c *token.Claims) { c.Subject = "reporter" }), "INVALID_TOKEN"},
		"without the scope": {sign("1", 0, func(c *token.Claims) { c.Scope = nil }), "INSUFFICIENT_SCOPE"},
	} {
		_, refusal := methods.Authenticate(t.Context(), guard, "/stock.v1.Stock/Order", []string{"Bearer " + tt.token})
		if refusal == nil {
			if tt.reason != "" {
				t.Errorf("%s: allowed, want %s", name, tt.reason)
			}
			continue
		}
		if got := rpcbearer.Reason(refusal); got != tt.reason {
			t.Errorf("%s: refused with %s, want %q", name, got, tt.reason)
		}
		details := rpcbearer.Details(refusal)
		delete(details, "www_authenticate")
		want := map[string]string{"scope": "items:write"}
		if tt.reason == better {
			want["acr_values"], want["max_age"] = "2 phr", "300"
		}
		if !maps.Equal(details, want) {
			t.Errorf("%s: details %v, want %v", name, details, want)
		}
	}
}

// Check names the methods that differ.
func TestCheck(t *testing.T) {
	served := []string{
		"/stock.v1.Stock/Get", "/stock.v1.Stock/Set", "/stock.v1.Stock/Ping", "/stock.v1.Stock/Who", "/stock.v1.Stock/Order",
	}
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
