package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// maxNonce bounds the nonce of an authorization request, in bytes. The database stores it for a while.
const maxNonce = 512

// claimScopes has the scope that shows each claim about a user (OpenID Connect Core section 5.4).
var claimScopes = map[string]string{
	"name": "profile", "preferred_username": "profile", "updated_at": "profile",
	"email": "email", "email_verified": "email",
	"groups": "groups",
}

// identityTexts describe the scopes about the user on the consent page, unless the operator has described them.
var identityTexts = map[string]*catalog.Message{
	issuing.ScopeOpenID: say("Log you in"),
	"email":             say("See your email address"),
	"groups":            say("See which groups you are in"),
	resource.AdminScope: say("Administer this service: all users, apps and keys"),
}

// claimsRequest is the claims parameter (OpenID Connect Core section 5.5).
type claimsRequest struct {
	UserInfo map[string]*claimRequest `json:"userinfo"`
	IDToken  map[string]*claimRequest `json:"id_token"`
}

// claimRequest is the request for one claim. It is nil without any condition.
type claimRequest struct {
	Essential bool  `json:"essential"`
	Value     any   `json:"value"`
	Values    []any `json:"values"`
}

// acrValues are the authentication context classes that this server knows.
var acrValues = []string{grant.ACROneFactor, grant.ACRTwoFactors}

// errUnmet means that the client needs a login of a class that this server does not know.
var errUnmet = &oauth.Error{
	Code:        oauth.CodeUnmetAuthentication,
	Description: "this server knows the acr " + strings.Join(acrValues, " and "),
}

// wantsTwoFactors reports whether a client that asks for one of these classes gets none of them with one factor.
func wantsTwoFactors(classes []string) bool {
	return slices.Contains(classes, grant.ACRTwoFactors) && !slices.Contains(classes, grant.ACROneFactor)
}

// checkOpenID reads the parameters of OpenID Connect and returns what is wrong with them. They have a meaning only
// with the scope openid. display is accepted and has no effect; ui_locales has its
// effect in inLanguage.
func (e *endpoints) checkOpenID(a *authorization) *oauth.Error {
	if !a.scope.Has(issuing.ScopeOpenID) {
		return nil
	}
	if len(a.form.Get("nonce")) > maxNonce {
		return oauth.ErrInvalidRequest.Describe(fmt.Sprintf("nonce is longer than %d bytes", maxNonce))
	}
	if hint := a.form.Get("id_token_hint"); hint != "" {
		read, err := e.cfg.Tokens.ReadHint(hint)
		if err != nil {
			return oauth.ErrInvalidRequest.Describe("id_token_hint is not an ID token of this server")
		}
		a.subject = read.Subject
	}
	return e.checkClaims(a)
}

// checkClaims reads the claims parameter. A claim that is asked for by name counts as asking for the scope that
// shows it, if the client may have that scope; other claims are left out, as any claim may be (OpenID Connect
// Core section 5.5.1).
func (e *endpoints) checkClaims(a *authorization) *oauth.Error {
	text := a.form.Get("claims")
	if text == "" {
		return nil
	}
	var request claimsRequest
	if err := json.Unmarshal([]byte(text), &request); err != nil {
		return oauth.ErrInvalidRequest.Describe("claims is not a JSON object as in OpenID Connect Core section 5.5")
	}
	for _, member := range []map[string]*claimRequest{request.UserInfo, request.IDToken} {
		if sub := member["sub"]; sub != nil && sub.Value != nil {
			wanted, _ := sub.Value.(string)
			if wanted == "" || a.subject != "" && a.subject != wanted {
				a.subject = "" // no login would be right: the client is told at once
				return oauth.ErrInvalidRequest.Describe("claims and id_token_hint ask for different users")
			}
			a.subject = wanted
		}
		for _, name := range slices.Sorted(maps.Keys(member)) { // in order: the same request gets the same scope
			e.addClaim(a, name)
		}
	}
	return a.checkACR(request.IDToken["acr"])
}

// checkACR reads the request for the claim acr. An essential one must be met (OpenID Connect Core section 5.5.1.1).
func (a *authorization) checkACR(acr *claimRequest) *oauth.Error {
	if acr == nil {
		return nil
	}
	var wanted []string
	for _, value := range append(slices.Clone(acr.Values), acr.Value) {
		if value != nil {
			wanted = append(wanted, fmt.Sprint(value))
		}
	}
	known := slices.ContainsFunc(wanted, func(class string) bool { return slices.Contains(acrValues, class) })
	if acr.Essential && len(wanted) > 0 && !known {
		return errUnmet
	}
	a.needsSecondFactor = a.needsSecondFactor || wantsTwoFactors(wanted)
	return nil
}

// addClaim adds the scope that shows a claim, if the client may have it.
func (e *endpoints) addClaim(a *authorization, claim string) {
	name := claimScopes[claim]
	if name == "" || a.scope.Has(name) {
		return
	}
	wider, err := e.cfg.Tokens.UserScope(a.client, a.api, append(slices.Clone(a.scope), name))
	if err == nil {
		a.scope = wider
	}
}

// authorizeByPost serves POST /authorize (OpenID Connect Core section 3.1.2.1): it continues as GET, so that the
// pages work the same way. Any site may send this form, as any may link here.
func (e *endpoints) authorizeByPost(w http.ResponseWriter, r *http.Request) error {
	return continueByGet(w, r, authorizePath, maxQuery, badForm(say("Go back to the app and try again.")))
}

// continueByGet redirects a form to GET path with the same parameters, unless they are longer than maximum. It
// returns malformed if the body is not a form.
func continueByGet(w http.ResponseWriter, r *http.Request, path string, maximum int, malformed error) error {
	httpserver.LimitBody(w, r, maxBody)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return malformed
	}
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	_, err = url.ParseQuery(string(body))
	if err != nil || mediaType != "application/x-www-form-urlencoded" || r.URL.RawQuery != "" {
		return malformed
	}
	if len(body) > maximum {
		return errLongRequest
	}
	redirect(w, path+"?"+string(body))
	return nil
}

// identityScopes returns the scopes about the user that the metadata lists; none if OpenID Connect is off.
func (e *endpoints) identityScopes() []string {
	if len(e.cfg.Tokens.IDTokenAlgorithms()) == 0 {
		return nil
	}
	return issuing.IdentityScopes
}

// describeOpenID adds the members of OpenID Connect Discovery section 3 to the metadata, unless OpenID Connect is
// off.
func (e *endpoints) describeOpenID(m *oauth.Metadata) {
	algorithms := e.cfg.Tokens.IDTokenAlgorithms()
	if len(algorithms) == 0 {
		return
	}
	m.OpenIDMetadata = &oauth.OpenIDMetadata{
		EndSessionEndpoint:                 e.cfg.IssuerURL + endSessionPath,
		BackchannelLogoutSupported:         true,
		BackchannelLogoutSessionsSupported: true,

		SubjectTypesSupported:    []string{"public"},
		IDTokenSigningAlgorithms: algorithms,
		ACRValuesSupported:       acrValues,
		ClaimTypesSupported:      []string{"normal"},
		ClaimsParameterSupported: true,
		UILocalesSupported:       catalog.Languages,
		ClaimsSupported: []string{
			"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "acr", "amr", "sid",
			"name", "preferred_username", "updated_at", "email", "email_verified", "groups",
		},
	}
}

// wrongUser reports whether a user is not the one that the client asks for by id_token_hint or claims.
func (a *authorization) wrongUser(id string) bool { return a.subject != "" && a.subject != id }

// errLongRequest is the response to an authorization request that pages could not carry.
var errLongRequest = brokenLink(say("The request from the app is too long."), say("Please tell its developers."))

// errOtherUser is the response to a client that asks for one user, if another one has logged in.
var errOtherUser = &oauth.Error{
	Code: oauth.CodeLoginRequired, Description: "another user has logged in than the client asks for",
}

// refuseOtherUser sends the browser back to the client, because another user has logged in than it asks for. The
// login does not count as failed.
func (e *endpoints) refuseOtherUser(w http.ResponseWriter, a *authorization, giveBack error) error {
	return errors.Join(e.refuse(w, a, errOtherUser), giveBack)
}
