// Package rpcbearer defines what the methods of an RPC server require of a caller. The packages grpcbearer and
// connectbearer enforce it. They are separate modules, so that an API without RPC does not depend on the
// modules that they need.
//
// Both packages accept bearer tokens only: a call has no proof of a key (DPoP, RFC 9449). Set BearerOnly in
// bearer.Config, so that the metadata of the API says the same.
//
//	var methods = rpcbearer.Methods{
//		"/stock.v1.Stock/Get":          rpcbearer.Scopes("items:read"),
//		"/stock.v1.Stock/Set":          rpcbearer.UserScopes("items:write"),
//		"/stock.v1.Stock/Order":        rpcbearer.LoginScopes(bearer.UserLogin{ACRValues: []string{"2"}}, "items:order"),
//		"/grpc.health.v1.Health/Check": rpcbearer.Public(),
//	}
package rpcbearer

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// Access is what a method requires. The zero value requires a valid token without any scope.
type Access struct {
	scopes []string
	user   bool
	login  bearer.UserLogin // of the user
	public bool
}

// Scopes requires a valid token that has all of the scopes.
func Scopes(scopes ...string) Access { return Access{scopes: scopes} }

// UserScopes is like Scopes, and also refuses a token that a client got for itself.
func UserScopes(scopes ...string) Access { return Access{scopes: scopes, user: true} }

// LoginScopes is like UserScopes, and also refuses a token of a login that is not good enough (RFC 9470). The token of
// a stream is checked at each message, so the stream ends when the login is older than MaxAge.
func LoginScopes(login bearer.UserLogin, scopes ...string) Access {
	return Access{scopes: scopes, user: true, login: login}
}

// Public requires nothing: the method ignores tokens.
func Public() Access { return Access{public: true} }

// Methods maps the full name of each method, "/package.Service/Method", to what it requires. A method that is
// not in the map is refused.
type Methods map[string]Access

// detailUnlisted is what a caller sees of a method that is missing from Methods.
const detailUnlisted = "The server does not say who may call this method"

// Authenticate checks the caller of a method by the values of the header Authorization. It returns a context from
// which the handler gets the claims with bearer.FromContext, or the refusal to respond with. For a method that is
// missing from the table, the refusal has the status 403 and no code. For a public method, the context is
// unchanged. A token that is bound to a key is refused, as by guard.BearerOnly.
func (m Methods) Authenticate(
	ctx context.Context, guard *bearer.Guard, method string, authorization []string,
) (context.Context, *bearer.Refusal) {
	access, listed := m[method]
	switch {
	case !listed:
		return nil, &bearer.Refusal{Status: http.StatusForbidden, Detail: detailUnlisted, Audience: guard.Audience()}
	case access.public:
		return ctx, nil
	}
	r := &http.Request{Header: http.Header{}, URL: new(url.URL)}
	if len(authorization) > 0 {
		r.Header["Authorization"] = authorization
	}
	claims, refusal := access.authenticate(guard.BearerOnly(), r.WithContext(ctx))
	if refusal != nil {
		return nil, refusal
	}
	return bearer.NewContext(ctx, claims), nil
}

// authenticate returns the claims of a request's token, or the refusal to respond with.
func (a Access) authenticate(guard *bearer.Guard, r *http.Request) (*token.Claims, *bearer.Refusal) {
	if a.user {
		return guard.AuthenticateLogin(r, a.login, a.scopes...)
	}
	return guard.Authenticate(r, a.scopes...)
}

// Check returns an error that names the server's methods that are missing from the table, and the methods in the
// table that the server does not have. Call it when the server starts.
func (m Methods) Check(served []string) error {
	var wrong []string
	for _, method := range served {
		if _, ok := m[method]; !ok {
			wrong = append(wrong, method+" is served and not in the table")
		}
	}
	for _, method := range slices.Sorted(maps.Keys(m)) {
		if !slices.Contains(served, method) {
			wrong = append(wrong, method+" is in the table and not served")
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("rpcbearer.Methods: %s", strings.Join(wrong, "; "))
	}
	return nil
}

// Reason returns why a call was refused, as a constant for programs: INVALID_TOKEN, INSUFFICIENT_SCOPE,
// INSUFFICIENT_USER_AUTHENTICATION (the user must log in again, see Details), INVALID_REQUEST, NOT_AUTHENTICATED (no
// token was sent, or one with the scheme DPoP), UNAVAILABLE (the token cannot be checked now) or METHOD_NOT_LISTED.
func Reason(refusal *bearer.Refusal) string {
	switch {
	case refusal.Code != oauth.ErrorCode(""):
		return strings.ToUpper(string(refusal.Code))
	case refusal.Status == http.StatusServiceUnavailable:
		return "UNAVAILABLE"
	case refusal.Status == http.StatusForbidden:
		return "METHOD_NOT_LISTED"
	}
	return "NOT_AUTHENTICATED"
}

// Details returns what a caller needs in order to get a better token, for the metadata of google.rpc.ErrorInfo: scope,
// acr_values and max_age, as in an authorization request, and www_authenticate, the challenge with all of them (RFC
// 6750 section 3). What the refusal does not have is left out.
func Details(refusal *bearer.Refusal) map[string]string {
	details := map[string]string{
		"www_authenticate": refusal.Challenge(),
		"scope":            refusal.Scope.String(),
		"acr_values":       strings.Join(refusal.ACRValues, " "),
	}
	if refusal.MaxAge > 0 {
		details["max_age"] = strconv.FormatInt(int64(refusal.MaxAge/time.Second), 10)
	}
	maps.DeleteFunc(details, func(_, value string) bool { return value == "" })
	return details
}
