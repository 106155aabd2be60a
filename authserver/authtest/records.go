package authtest

import (
	"cmp"
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	registered "github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// Password is the password of users who were added without one.
const Password = "correct horse battery staple"

// User is a person who can log in.
type User struct {
	// Username is what the user types to log in; required.
	Username string
	// Password is what else the user types; Password by default.
	Password string
	// Name is the display name; the username by default.
	Name string
	// Email is a verified email address; none by default.
	Email string
	// Groups are the names of groups, which clients with the scope groups see.
	Groups []string
}

// AddUser adds a user and returns the id, which is the sub of the user's tokens.
func (s *Server) AddUser(u User) (id string) {
	s.t.Helper()
	u.Password = cmp.Or(u.Password, Password)
	hash, err := s.hasher.Hash(u.Password)
	s.check("adding the user "+u.Username, err)
	user, err := account.New(u.Username, cmp.Or(u.Name, u.Username), hash, time.Now())
	s.check("adding the user "+u.Username, err)
	user.Email, user.EmailVerified, user.Groups = u.Email, u.Email != "", u.Groups
	user, err = user.PrepareIdentity()
	s.check("adding the user "+u.Username, err)
	s.check("adding the user "+u.Username, s.data.CreateUser(s.ctx, user))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.passwords[u.Username] = u.Password
	return user.ID
}

// RedirectURI is the redirect URI of clients that were added without one. No request is sent to it.
const RedirectURI = "https://app.example/callback"

// Client is an app or a service that requests tokens.
type Client struct {
	// ID is the client_id; required.
	ID string
	// Scope has the scopes that its tokens may have, separated by spaces; required.
	Scope string
	// Grants are the grant types that it may use, as `authserver client add --grant` names them. By default they are
	// authorization_code and refresh_token.
	Grants []string
	// RedirectURIs are where codes may be sent to; RedirectURI by default.
	RedirectURIs []string
	// Public says that the client has no secret.
	Public bool
	// IntrospectsFor are the APIs whose access tokens the client may introspect (RFC 7662).
	IntrospectsFor []string
	// ExchangeFrom and ExchangeTo are the APIs whose access tokens the client may exchange, and those that it may
	// exchange them for (RFC 8693).
	ExchangeFrom, ExchangeTo []string
}

// client is a registered client with what it needs for requests.
type client struct {
	secret, redirectURI string
}

// AddClient registers a client and returns its secret, which is empty for a public one.
func (s *Server) AddClient(c Client) (secret string) {
	s.t.Helper()
	scope, err := oauth.ParseScope(c.Scope)
	s.check("adding the client "+c.ID, err)
	grants := c.Grants
	if len(grants) == 0 {
		grants = []string{string(oauth.GrantAuthorizationCode), string(oauth.GrantRefreshToken)}
	}
	r := registered.Client{
		ID:             c.ID,
		Name:           c.ID,
		Grants:         s.grantTypes(grants),
		Scope:          scope,
		Introspects:    len(c.IntrospectsFor) > 0,
		IntrospectsFor: stored(c.IntrospectsFor),
		ExchangeFrom:   stored(c.ExchangeFrom),
		ExchangeTo:     stored(c.ExchangeTo),
		CreatedAt:      time.Now(),
	}
	if r.Allows(oauth.GrantAuthorizationCode) {
		if r.RedirectURIs = c.RedirectURIs; len(r.RedirectURIs) == 0 {
			r.RedirectURIs = []string{RedirectURI}
		}
	}
	if !c.Public {
		secret, r.SecretDigest, err = registered.GenerateSecret(rand.Reader)
		s.check("adding the client "+c.ID, err)
	}
	s.check("adding the client "+c.ID, r.Validate())
	s.check("adding the client "+c.ID, s.data.CreateClient(s.ctx, r))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients[c.ID] = &client{secret: secret, redirectURI: strings.Join(r.RedirectURIs[:min(1, len(r.RedirectURIs))], "")}
	return secret
}

// grantTypes returns the grant types of these names.
func (s *Server) grantTypes(names []string) (types []oauth.GrantType) {
	s.t.Helper()
	for _, name := range names {
		t, known := grant.TypeWritten(name)
		if !known {
			s.t.Fatalf("authtest: %q is not a grant type", name)
		}
		types = append(types, t.Name)
	}
	return types
}

// stored returns audiences as a client is stored with them.
func stored(audiences []string) []string {
	audiences = slices.Clone(audiences)
	for i, audience := range audiences {
		if audience == Audience {
			audiences[i] = registered.DefaultAPI
		}
	}
	return audiences
}

// AddAPI registers an API, whose tokens may have the scopes.
func (s *Server) AddAPI(audience string, scopes ...string) {
	s.t.Helper()
	scope, err := oauth.ParseScope(strings.Join(scopes, " "))
	s.check("adding the API "+audience, err)
	api := resource.API{Audience: audience, Name: audience, Scope: scope, CreatedAt: time.Now()}
	s.check("adding the API "+audience, api.Validate())
	s.check("adding the API "+audience, s.data.CreateAPI(s.ctx, api))
}

// Config returns the configuration of a client that was added, for package oauth2.
func (s *Server) Config(clientID string) *oauth2.Config {
	s.t.Helper()
	s.mu.Lock()
	c := s.clients[clientID]
	s.mu.Unlock()
	if c == nil {
		s.t.Fatalf("authtest: no client %s was added", clientID)
	}
	style := oauth2.AuthStyleInHeader
	if c.secret == "" {
		style = oauth2.AuthStyleInParams
	}
	return &oauth2.Config{
		ClientID:     clientID,
		ClientSecret: c.secret,
		RedirectURL:  c.redirectURI,
		Endpoint:     oauth2.Endpoint{AuthURL: s.URL + "/authorize", TokenURL: s.URL + "/token", AuthStyle: style},
	}
}
