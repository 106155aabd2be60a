package issuing_test

import (
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// RFC 6749 section 6: the client's scope is checked at each refresh. The grant keeps its scope, so
// that the client can have it again later.
func TestRefreshByAClientThatWasNarrowed(t *testing.T) {
	b := newRefreshBench(t)
	e := issuing.New(b.cfg)
	answer, err := b.issue(e, request(), b.app)
	must(t, err)
	for _, tt := range []struct {
		now, asked, want string
		refused          oauth.ErrorCode
	}{
		{now: "profile", want: "profile"},
		{now: "items:read admin", want: "items:read"},
		{now: "items:read", asked: "items:read", want: "items:read"},
		{now: "items:read", asked: " ", want: "items:read"},
		{now: "items:read", asked: "profile", refused: oauth.CodeInvalidScope},
		{now: "items:read", asked: "items:read profile", refused: oauth.CodeInvalidScope},
		{now: "admin", refused: oauth.CodeInvalidGrant},
		{now: "admin", asked: "admin", refused: oauth.CodeInvalidScope},
		{now: "profile items:read admin", want: "profile items:read"},
	} {
		b.app.Scope = strings.Fields(tt.now)
		next, err := b.issue(e, request(refreshing(answer.RefreshToken, "scope", tt.asked)...), b.app)
		if tt.refused != "" {
			refusedAs(t, "refreshing with "+tt.now, next, err, tt.refused)
			continue
		}
		must(t, err)
		if next.Scope != tt.want || b.claims(next).Scope.String() != tt.want {
			t.Errorf("%+v: the scope is %q, in the token %q", tt, next.Scope, b.claims(next).Scope)
		}
		answer = next
	}
}

// The same if the API allows less than it did.
func TestRefreshForAnAPIThatWasNarrowed(t *testing.T) {
	b := newBench(t)
	verifier := withBilling(t, b)
	b.app.Scope = append(b.app.Scope, "invoices:read")
	e := issuing.New(b.cfg)
	answer, err := b.issue(e, request("resource", billing.Audience), b.app)
	must(t, err)
	for _, tt := range []struct {
		now, asked, want string
		refused          oauth.ErrorCode
	}{
		{now: "profile", want: "profile"},
		{now: "profile", asked: "invoices:read", refused: oauth.CodeInvalidScope},
		{now: "invoices:write", refused: oauth.CodeInvalidGrant},
		{now: "items:read profile invoices:read", want: "profile invoices:read"},
	} {
		_, err := b.data.UpdateAPI(t.Context(), billing.Audience, b.now, func(a resource.API) (resource.API, error) {
			a.Scope = strings.Fields(tt.now)
			return a, nil
		})
		must(t, err)
		b.wait()
		next, err := b.issue(e, request(refreshing(answer.RefreshToken, "scope", tt.asked)...), b.app)
		if tt.refused != "" {
			refusedAs(t, "refreshing with "+tt.now, next, err, tt.refused)
			continue
		}
		must(t, err)
		claims, err := verifier.Verify(t.Context(), next.AccessToken)
		must(t, err)
		if next.Scope != tt.want || claims.Scope.String() != tt.want {
			t.Errorf("%+v: the scope is %q, in the token %q", tt, next.Scope, claims.Scope)
		}
		answer = next
	}
}

// A user may have allowed more, a minute ago, than the client may have now.
func TestCodeOfAClientThatWasNarrowed(t *testing.T) {
	for now, want := range map[string]string{"items:read profile": "profile items:read", "items:read": "items:read",
		"admin": ""} {
		b := newBench(t)
		b.session()
		e := issuing.New(b.cfg)
		r := b.redemption(e)
		b.app.Scope = strings.Fields(now)
		answer, err := b.issue(e, r, b.app)
		if want == "" {
			refusedAs(t, "redeeming with "+now, answer, err, oauth.CodeInvalidGrant)
			b.expectGrants(0)
			continue
		}
		must(t, err)
		g, err := b.data.GrantByNumber(t.Context(), 1)
		must(t, err)
		if answer.Scope != want || b.claims(answer).Scope.String() != want || g.Scope.String() != want {
			t.Errorf("%s: the answer is %v, the grant %+v", now, answer, g)
		}
	}
}
