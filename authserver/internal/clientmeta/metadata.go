// Package clientmeta reads what clients say about themselves: client ID metadata documents, and requests of
// dynamic registration (RFC 7591).
package clientmeta

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4/json" // compares names exactly, and refuses repeated members

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
)

// Methods by which clients authenticate at the token endpoint.
const (
	MethodNone       = "none"
	MethodBasic      = "client_secret_basic"
	MethodPost       = "client_secret_post"
	MethodPrivateKey = "private_key_jwt"
)

// maxRedirects bounds the redirect URIs of a client.
const maxRedirects = 20

// Metadata is what a client says about itself (RFC 7591 section 2). Other members are ignored.
type Metadata struct {
	ClientID      string            `json:"client_id,omitempty"`
	ClientSecret  string            `json:"client_secret,omitempty"`
	Name          string            `json:"client_name,omitempty"`
	RedirectURIs  []string          `json:"redirect_uris"`
	AuthMethod    string            `json:"token_endpoint_auth_method,omitempty"`
	AuthMethods   []string          `json:"token_endpoint_auth_methods_supported,omitempty"`
	GrantTypes    []oauth.GrantType `json:"grant_types,omitempty"`
	ResponseTypes []string          `json:"response_types,omitempty"`
	Scope         string            `json:"scope,omitempty"`
	JWKSURI       string            `json:"jwks_uri,omitempty"`
	JWKS          json.RawMessage   `json:"jwks,omitempty"`
	LogoutURI     string            `json:"backchannel_logout_uri,omitempty"`
	FrontLogout   string            `json:"frontchannel_logout_uri,omitempty"`
	AfterLogout   []string          `json:"post_logout_redirect_uris,omitempty"`
	BoundTokens   bool              `json:"dpop_bound_access_tokens,omitempty"` // RFC 9449 section 5.2
	SecondFactor  bool              `json:"require_second_factor,omitempty"`    // an extension: see client.Client
}

// Errors of RFC 7591 section 3.2.2. Describe adds what is wrong.
var (
	errMetadata = &oauth.Error{Code: oauth.CodeInvalidClientMetadata}
	errRedirect = &oauth.Error{Code: oauth.CodeInvalidRedirectURI}
)

// Parse parses metadata. The error is an *oauth.Error.
func Parse(data []byte) (Metadata, error) {
	var m Metadata
	if err := json.Unmarshal(data, &m); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return Metadata{}, errMetadata.Describe("a JSON value has the wrong type: " + wrong.Value + " instead of " +
				jsonType(wrong.Type))
		}
		return Metadata{}, errMetadata.Describe("the body is not a JSON object with each member once")
	}
	return m, nil
}

// jsonType returns what JSON calls the values of a Go type.
func jsonType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "string"
	case reflect.Slice:
		return "array"
	case reflect.Bool:
		return "boolean"
	default:
		return "object"
	}
}

// Refused is a redirect URI that is not accepted.
type Refused struct {
	URI string
	Err error
}

// Client returns the client that the metadata describe, without an ID, and the redirect URIs that are not
// accepted. It may have the allowed scope, or what of it the metadata name. The error is an *oauth.Error;
// there is one if no redirect URI or no grant type is left.
//
// Grant types that such a client cannot have are left out. It may refresh unless the grant types say
// otherwise.
func (m Metadata) Client(fallbackName string, allowed oauth.Scope) (client.Client, []Refused, error) {
	c := client.Client{
		Name:        m.Name,
		Grants:      []oauth.GrantType{oauth.GrantAuthorizationCode},
		RequireDPoP: m.BoundTokens, RequireSecondFactor: m.SecondFactor,
	}
	if c.Name == "" {
		c.Name = fallbackName
	}
	if len(m.GrantTypes) > 0 && !slices.Contains(m.GrantTypes, oauth.GrantAuthorizationCode) {
		return c, nil, errMetadata.Describe("grant_types must have authorization_code")
	}
	if len(m.ResponseTypes) > 0 && !slices.Contains(m.ResponseTypes, "code") {
		return c, nil, errMetadata.Describe("response_types must have code")
	}
	if len(m.GrantTypes) == 0 || slices.Contains(m.GrantTypes, oauth.GrantRefreshToken) {
		c.Grants = append(c.Grants, oauth.GrantRefreshToken)
	}
	scope, err := m.scope(allowed)
	if err != nil {
		return c, nil, err
	}
	c.Scope = scope
	refused, err := m.setRedirects(&c)
	return c, refused, err
}

// scope returns what the client may ask for.
func (m Metadata) scope(allowed oauth.Scope) (oauth.Scope, error) {
	if m.Scope == "" {
		return allowed, nil
	}
	named, err := oauth.ParseScope(m.Scope)
	if err != nil {
		return nil, errMetadata.Describe("scope has a character that RFC 6749 section 3.3 does not allow, or is too long")
	}
	common := allowed.Common(named)
	if len(common) == 0 {
		return nil, errMetadata.Describe("no scope that it names can be granted to a client that nobody has registered")
	}
	return common, nil
}

// setRedirects sets the redirect URIs that are accepted, and returns the others.
func (m Metadata) setRedirects(c *client.Client) (refused []Refused, err error) {
	if len(m.RedirectURIs) == 0 || len(m.RedirectURIs) > maxRedirects {
		return nil, errRedirect.Describe(fmt.Sprintf("redirect_uris must have 1 to %d URIs", maxRedirects))
	}
	for _, uri := range m.RedirectURIs {
		if err := client.CheckRedirectURI(uri); err != nil {
			refused = append(refused, Refused{uri, err})
			continue
		}
		if !slices.Contains(c.RedirectURIs, uri) {
			c.RedirectURIs = append(c.RedirectURIs, uri)
		}
	}
	if len(c.RedirectURIs) == 0 {
		return refused, errRedirect.Describe(refused[0].Err.Error())
	}
	return refused, nil
}

// methods returns how the client can authenticate; none if it does not say.
func (m Metadata) methods() []string {
	if m.AuthMethod != "" {
		return []string{m.AuthMethod}
	}
	return m.AuthMethods
}

// setDocumentKeys sets how the client of a document authenticates: not at all, or by its keys. A document
// cannot have a secret.
func (m Metadata) setDocumentKeys(c *client.Client) error {
	methods := m.methods()
	keys := m.JWKSURI != "" || len(m.JWKS) > 0
	switch {
	case len(methods) == 0 || slices.Contains(methods, MethodNone):
		return nil
	case !slices.Contains(methods, MethodPrivateKey):
		return errMetadata.Describe("token_endpoint_auth_method must be none or private_key_jwt")
	case !keys:
		return errMetadata.Describe("private_key_jwt needs jwks_uri or jwks")
	}
	c.SecretDigest = client.NoSecret
	c.Assertion = client.Assertion{JWKSURI: m.JWKSURI}
	if m.JWKSURI == "" {
		compact, err := client.CompactJWKS(m.JWKS)
		if err != nil {
			return errMetadata.Describe(err.Error())
		}
		c.Assertion.JWKS = compact
	}
	return nil
}

// IsDocumentID reports whether a client_id is a URL, and so names a client metadata document. The id of a
// registered client has no colon.
func IsDocumentID(id string) bool { return strings.Contains(id, "://") }

// CheckRegistration returns an *oauth.Error if the metadata have what a client that registers itself may not
// have: a URL that this server would send requests to, or keys.
func (m Metadata) CheckRegistration() error {
	switch {
	case m.JWKSURI != "" || len(m.JWKS) > 0:
		return errMetadata.Describe("jwks_uri and jwks are not accepted in a registration")
	case m.LogoutURI != "" || m.FrontLogout != "" || len(m.AfterLogout) > 0:
		return errMetadata.Describe("logout URIs are not accepted in a registration")
	case m.RegistrationMethod() == "":
		return errMetadata.Describe("token_endpoint_auth_method must be none, client_secret_basic or client_secret_post")
	}
	return nil
}

// RegistrationMethod returns how a client that registers itself authenticates; empty if it cannot. The
// default is client_secret_basic (RFC 7591 section 2).
func (m Metadata) RegistrationMethod() string {
	methods := m.methods()
	if len(methods) == 0 {
		return MethodBasic
	}
	for _, method := range []string{MethodNone, MethodBasic, MethodPost} {
		if slices.Contains(methods, method) {
			return method
		}
	}
	return ""
}
