package web

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
)

// required are the parameters that a grant type cannot do without.
var required = map[oauth.GrantType][]string{
	oauth.GrantAuthorizationCode: {"code", "code_verifier"},
	oauth.GrantPassword:          {"username", "password"},
	oauth.GrantRefreshToken:      {"refresh_token"},
}

// token is POST /token (RFC 6749 §3.2), a pipeline: form, client, grant type,
// parameters, grant.
func (e *endpoints) token(w http.ResponseWriter, r *http.Request) (map[string]any, error) {
	form, err := readForm(w, r, multipartForPasswords)
	if err != nil {
		return nil, err
	}
	c, err := e.auth.authenticate(r, form)
	if err != nil {
		return nil, err
	}
	grantType, err := e.grantType(form, c)
	if err != nil {
		return nil, err
	}
	if absent := missing(form, required[grantType]); len(absent) > 0 {
		return nil, invalid("missing: %s", strings.Join(absent, " and "))
	}
	if verifier := form.Get("code_verifier"); verifier != "" && (len(verifier) < 43 || len(verifier) > 128 || !isUnreserved(verifier)) {
		return nil, invalid("code_verifier must be 43 to 128 unreserved characters (RFC 7636 section 4.1)")
	}
	form.Set("grant_type", string(grantType))
	r.Form, r.PostForm, r.MultipartForm = form, form, nil
	return e.cfg.Tokens.Issue(r, c)
}

// grantType returns the grant type that the form asks for, if the client may use
// it. The default client may leave it out, as clients of the original program do.
func (e *endpoints) grantType(form url.Values, c client.Client) (oauth.GrantType, error) {
	byDefault := ""
	if c.ID == e.cfg.DefaultClient {
		byDefault = string(oauth.GrantPassword)
	}
	grantType := oauth.GrantType(cmp.Or(form.Get("grant_type"), byDefault))
	switch {
	case grantType == "":
		return "", invalid("grant_type is missing")
	case !e.cfg.Tokens.Supports(grantType):
		return "", oauth.ErrUnsupportedGrantType.Describe("this server does not know the grant type")
	case !c.Allows(grantType):
		return "", oauth.ErrUnauthorizedClient.Describe("this client may not use the grant type " + string(grantType))
	}
	return grantType, nil
}

// missing returns those of names that the form does not have.
func missing(form url.Values, names []string) []string {
	var absent []string
	for _, name := range names {
		if form.Get(name) == "" {
			absent = append(absent, name)
		}
	}
	return absent
}
