package configfile

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// Sources read the variables and files that a file names.
type Sources struct {
	// Env returns the value of an environment variable, and whether it is set.
	Env func(name string) (string, bool)
	// File returns the content of a file.
	File func(path string) ([]byte, error)
}

// placeholders stand in for all variables and files while only the text of a file is checked.
var placeholders = Sources{
	Env:  func(string) (string, bool) { return placeholderSecret, true },
	File: func(string) ([]byte, error) { return nil, nil },
}

// placeholderSecret passes client.CheckSecret.
const placeholderSecret = "0123456789abcdef0123456789abcdef"

// check returns ErrBad unless everything that is described is valid.
func (c Config) check() error {
	_, err := c.desired(placeholders, true)
	return err
}

// Desired returns what the files describe, with the secrets and keys that they refer to. It returns ErrBad, with the
// position, for what is not valid.
func (c Config) Desired(from Sources) (admin.Desired, error) { return c.desired(from, false) }

func (c Config) desired(from Sources, checking bool) (d admin.Desired, err error) {
	seen := map[string]position{}
	once := func(kind, key string, at position) error {
		if first, twice := seen[kind+key]; twice {
			return at.errorf("%s %s is also at %v", kind, key, first)
		}
		seen[kind+key] = at
		return nil
	}
	for _, a := range c.APIs {
		api, err := a.api()
		if err = cmp.Or(err, once("API", api.Audience, a.at)); err != nil {
			return admin.Desired{}, err
		}
		d.APIs = append(d.APIs, api)
	}
	for _, s := range c.Scopes {
		described := resource.ScopeDescription{Scope: s.Scope, Text: s.Description}
		if err := described.Validate(); err != nil {
			return admin.Desired{}, s.at.errorf("scope: %w", err)
		}
		if err := once("scope", s.Scope, s.at); err != nil {
			return admin.Desired{}, err
		}
		d.Scopes = append(d.Scopes, described)
	}
	for _, described := range c.Clients {
		registered, err := described.client(from, checking)
		if err != nil {
			return admin.Desired{}, err
		}
		if err := once("client", registered.ID, described.at); err != nil {
			return admin.Desired{}, err
		}
		d.Clients = append(d.Clients, registered)
	}
	return d, nil
}

// api returns the API that a file describes.
func (a API) api() (resource.API, error) {
	scope, err := scopeOf(a.Scopes)
	if err != nil {
		return resource.API{}, a.at.errorf("scopes: %w", err)
	}
	if scope.Has(resource.AdminScope) {
		return resource.API{}, a.at.errorf("the scope %s is for the admin API only, which no file manages",
			resource.AdminScope)
	}
	if a.AnyScope && len(scope) > 0 {
		return resource.API{}, a.at.errorf("an API with any_scope has no scopes of its own: leave one of them out")
	}
	api := resource.API{Audience: a.Audience, Name: cmp.Or(a.Name, a.Audience), Scope: scope, AnyScope: a.AnyScope}
	valid := api
	if api.Audience == client.DefaultAPI {
		valid.Audience = "https://default.example" // any valid one: only the server knows the real one
	}
	if err := valid.Validate(); err != nil {
		return resource.API{}, a.at.errorf("API: %w", err)
	}
	return api, nil
}

// scopeOf returns a scope of single scope tokens.
func scopeOf(tokens []string) (oauth.Scope, error) {
	for _, t := range tokens {
		if t == "" || strings.Contains(t, " ") {
			return nil, fmt.Errorf("%w: an entry of a list is one scope", oauth.ErrInvalidScope)
		}
	}
	return oauth.ParseScope(strings.Join(tokens, " "))
}

// client returns the client that a file describes.
func (c Client) client(from Sources, checking bool) (d admin.DesiredClient, err error) {
	scope, err := scopeOf(c.Scopes)
	if err != nil {
		return d, c.at.errorf("scopes: %w", err)
	}
	grants, err := c.grants()
	if err != nil {
		return d, err
	}
	d = admin.DesiredClient{Public: c.Public, Client: client.Client{
		ID:                     c.ID,
		Name:                   cmp.Or(c.Name, c.ID),
		Grants:                 grants,
		Scope:                  scope,
		FirstParty:             c.FirstParty,
		RedirectURIs:           c.RedirectURIs,
		PostLogoutRedirectURIs: c.PostLogoutRedirectURIs,
		BackchannelLogoutURI:   c.BackchannelLogoutURI,
		Introspects:            len(c.IntrospectsFor) > 0,
		IntrospectsFor:         c.IntrospectsFor,
		ExchangeFrom:           c.ExchangeFrom,
		ExchangeTo:             c.ExchangeTo,
		WithoutPKCE:            c.WithoutPKCE,
		RequirePAR:             c.RequirePAR,
		RequireDPoP:            c.RequireDPoP,
		RequireSecondFactor:    c.RequireSecondFactor,
		Admin:                  c.Admin,
		IDTokenAlgorithm:       cmp.Or(c.IDTokenAlg, client.Client{}.SignsIDTokensWith()),
	}}
	if d.Assertion, err = c.assertion(from, checking); err != nil {
		return d, err
	}
	if err := c.setSecret(&d, from); err != nil {
		return d, err
	}
	registered := admin.NewClient{Client: d.Client, Public: d.Public, Secret: d.Secret}
	if d.KeepSecret {
		registered.Secret = placeholderSecret
	}
	if err := registered.Validate(); err != nil {
		return d, c.at.errorf("%w", err)
	}
	return d, nil
}

// grants returns the grant types.
func (c Client) grants() (grants []oauth.GrantType, err error) {
	for _, name := range c.GrantTypes {
		t, known := grant.TypeWritten(name)
		if !known {
			return nil, c.at.errorf("grant_types: there is no grant type like that; there are: %s",
				strings.Join(admin.GrantNames(grant.TypeNames()), ", "))
		}
		if !slices.Contains(grants, t.Name) {
			grants = append(grants, t.Name)
		}
	}
	return grants, nil
}

// assertion returns what the client's assertions must be.
func (c Client) assertion(from Sources, checking bool) (client.Assertion, error) {
	described := c.Assertion
	if described == nil {
		return client.Assertion{}, nil
	}
	a := client.Assertion{
		JWKS:     described.JWKS,
		JWKSURI:  described.JWKSURI,
		Issuer:   described.Issuer,
		Subject:  described.Subject,
		Audience: described.Audience,
	}
	switch {
	case *described == Assertion{}:
		return a, c.at.errorf("assertion: say which keys or which issuer")
	case described.JWKSFile == "" && a.JWKS == "":
		return a, nil
	case described.JWKSFile != "" && a.JWKS+a.JWKSURI != "":
		return a, c.at.errorf("assertion: give only one of jwks, jwks_file and jwks_uri")
	case described.JWKSFile != "" && checking:
		a.JWKSURI = "https://file.example/" // any valid one: the keys are checked when the file is read
		return a, nil
	case described.JWKSFile != "":
		data, err := from.File(c.path(described.JWKSFile))
		if err != nil {
			return a, c.at.errorf("assertion: jwks_file: %w", err)
		}
		a.JWKS = string(data)
	}
	compact, err := client.CompactJWKS([]byte(a.JWKS))
	if err != nil {
		return a, c.at.errorf("assertion: %w", err)
	}
	a.JWKS = compact
	return a, nil
}

// path returns the path of a file that is relative to the one that names it.
func (c Client) path(named string) string {
	if filepath.IsAbs(named) {
		return named
	}
	return filepath.Join(filepath.Dir(c.at.file), named)
}

// setSecret sets the secret of the client, or that it keeps the one that it has.
func (c Client) setSecret(d *admin.DesiredClient, from Sources) error {
	s := c.Secret
	switch {
	case s == nil && !c.Public && c.Assertion == nil:
		return c.at.errorf("client %q is not public, so it needs a secret or an assertion; "+
			"'secret: {keep: true}' keeps the one that it has", c.ID)
	case s == nil:
		return nil
	case c.Public:
		return c.at.errorf("client %q is public, so it has no secret", c.ID)
	case *s == Secret{Keep: true}:
		d.KeepSecret = true
		return nil
	case *s == Secret{Env: s.Env} && s.Env != "":
		value, ok := from.Env(s.Env)
		if !ok {
			return c.at.errorf("secret: the variable %s is not set", s.Env)
		}
		d.Secret = value
	case *s == Secret{File: s.File} && s.File != "":
		data, err := from.File(c.path(s.File))
		if err != nil {
			return c.at.errorf("secret: %w", err)
		}
		if data == nil { // while it is checked
			data = []byte(placeholderSecret)
		}
		d.Secret = strings.TrimRight(string(data), "\r\n")
	default:
		return c.at.errorf("secret: set one of env, file and keep")
	}
	if err := client.CheckSecret(d.Secret); err != nil {
		return c.at.errorf("secret: %w", err)
	}
	return nil
}
