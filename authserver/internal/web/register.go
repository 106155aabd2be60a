package web

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/clientmeta"
	"github.com/hallpass-auth/hallpass/authserver/internal/ratelimit"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// registrationPath is the client registration endpoint (RFC 7591 section 3). Below it is the configuration
// endpoint of each client (RFC 7592).
const registrationPath = "/register"

// Prefixes of what registration gives out.
const (
	registeredIDPrefix = "dyn-"
	registrationPrefix = "hpm_" // another one than that of refresh tokens, for secret scanners
)

// registeredIDLength is the length of the id of a registered client: its prefix and 132 random bits.
const registeredIDLength = len(registeredIDPrefix) + 22

// Limits on the registrations of a network (ratelimit.SiteNetwork), and their changes.
const (
	registrationBurst    = 20
	registrationInterval = 10 * time.Second
)

// Registration says who may register clients (RFC 7591). The zero value means nobody.
type Registration struct {
	// Open lets everybody register clients.
	Open bool
	// TokenDigest returns the SHA-256, in base64url, of the initial access token that registering needs, or "" while
	// nobody can register; nil if registering needs none. It is called for each registration, since the token may be
	// replaced, and must be safe for concurrent use.
	TokenDigest func(context.Context) string
}

// On reports whether clients can be registered.
func (r Registration) On() bool { return r.Open || r.TokenDigest != nil }

// Errors of registration.
var (
	errManyRegistrations = errors.New("too many registrations")
	errInitialToken      = &oauth.Error{Code: oauth.CodeInvalidToken,
		Description: "registration needs the initial access token, as Authorization: Bearer"}
	errRegistrationToken = &oauth.Error{Code: oauth.CodeInvalidToken,
		Description: "the registration access token is wrong or missing, or the client has expired"}
)

// registered is the response of registration (RFC 7591 section 3.2.1; RFC 7592 section 3).
type registered struct {
	ClientID          string            `json:"client_id"`
	ClientIDIssuedAt  int64             `json:"client_id_issued_at"`
	ClientSecret      string            `json:"client_secret,omitempty"`
	SecretExpiresAt   *int64            `json:"client_secret_expires_at,omitempty"`
	RegistrationToken string            `json:"registration_access_token,omitempty"`
	RegistrationURI   string            `json:"registration_client_uri"`
	Name              string            `json:"client_name"`
	RedirectURIs      []string          `json:"redirect_uris"`
	AuthMethod        string            `json:"token_endpoint_auth_method"`
	GrantTypes        []oauth.GrantType `json:"grant_types"`
	ResponseTypes     []string          `json:"response_types"`
	Scope             string            `json:"scope,omitempty"`
	BoundTokens       bool              `json:"dpop_bound_access_tokens,omitempty"`
	SecondFactor      bool              `json:"require_second_factor,omitempty"` // an extension
}

// registration returns a handler for a function that writes a response or returns an error.
func (e *endpoints) registration(name string, serve func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := serve(w, r)
		if err == nil {
			e.answers.WithLabelValues(name, "ok").Inc()
			return
		}
		e.failed(r, name, err).writeBearer(w, r, e.cfg.IssuerURL)
	})
}

// register serves POST /register (RFC 7591 section 3.1).
func (e *endpoints) register(w http.ResponseWriter, r *http.Request) error {
	if !e.cfg.Registration.Open && !hasToken(r, e.cfg.Registration.TokenDigest(r.Context())) {
		return errInitialToken
	}
	if e.cfg.Now().UnixNano() < e.registrationsFull.Load() {
		return client.ErrTooMany
	}
	if !e.registrations.Allow(ratelimit.SiteNetwork(httpserver.Host(r.RemoteAddr))) {
		return errManyRegistrations
	}
	m, c, err := e.readMetadata(w, r)
	if err != nil {
		return err
	}
	id, err := secret.New(rand.Reader, registeredIDPrefix)
	if err != nil {
		return err
	}
	token, err := secret.New(rand.Reader, registrationPrefix)
	if err != nil {
		return err
	}
	clientSecret := ""
	if m.AuthMethod != clientmeta.MethodNone {
		if clientSecret, c.SecretDigest, err = client.GenerateSecret(rand.Reader); err != nil {
			return err
		}
	}
	c.ID, c.Source, c.RegistrationDigest = id[:registeredIDLength], client.SourceRegistration, secret.Digest(token)
	c.CreatedAt, c.LastUsedAt = e.cfg.Now(), e.cfg.Now()
	if err := e.cfg.Store.AddUnregistered(asClient(r.Context(), c.ID), c); err != nil {
		if errors.Is(err, client.ErrTooMany) { // a flood of registrations must not keep the database busy
			e.registrationsFull.Store(e.cfg.Now().Add(time.Second).UnixNano())
		}
		return err
	}
	e.cfg.Log.InfoContext(r.Context(), "client registered itself", "event", "client_registered", "client", c.ID,
		"name", c.Name, "address", httpserver.Host(r.RemoteAddr))
	response := e.describeRegistered(c, m.AuthMethod)
	response.ClientSecret, response.RegistrationToken = clientSecret, token
	writeJSON(w, http.StatusCreated, response)
	return nil
}

// readMetadata reads the body of a registration. What is not accepted of it is left out and logged. The client may
// have every scope that others like it may have, as the response says (RFC 7591 section 3.2.1): MCP clients register
// with the scope that they need first, and ask for more later.
func (e *endpoints) readMetadata(w http.ResponseWriter, r *http.Request) (clientmeta.Metadata, client.Client, error) {
	none := client.Client{}
	body, err := readJSONBody(w, r)
	if err != nil {
		return clientmeta.Metadata{}, none, err
	}
	m, err := clientmeta.Parse(body)
	if err == nil {
		err = m.CheckRegistration()
	}
	if err != nil {
		return m, none, err
	}
	allowed, err := e.unregisteredScope(r.Context())
	if err != nil {
		return m, none, err
	}
	c, refused, err := m.Client("unnamed app", allowed)
	for _, f := range refused {
		e.cfg.Log.WarnContext(r.Context(), "a redirect URI of a registration is not accepted",
			"event", "redirect_uri_refused", "reason", f.Err)
	}
	if err != nil {
		return m, none, err
	}
	m.AuthMethod = m.RegistrationMethod()
	c.Scope = allowed
	if err := c.ValidateUnregistered(); err != nil {
		return m, none, (&oauth.Error{Code: oauth.CodeInvalidClientMetadata}).Describe(err.Error())
	}
	return m, c, nil
}

// readJSONBody reads a body of JSON.
func readJSONBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" {
		return nil, invalid("the Content-Type must be application/json")
	}
	httpserver.LimitBody(w, r, maxBody)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, invalid("the body could not be read, or is longer than %d bytes", maxBody)
	}
	return body, nil
}

// describeRegistered returns what is registered of a client.
func (e *endpoints) describeRegistered(c client.Client, method string) registered {
	r := registered{
		ClientID: c.ID, ClientIDIssuedAt: c.CreatedAt.Unix(), Name: c.Name, RedirectURIs: c.RedirectURIs,
		RegistrationURI: e.cfg.IssuerURL + registrationPath + "/" + c.ID,
		AuthMethod:      method, GrantTypes: c.Grants, ResponseTypes: []string{"code"},
		Scope:       e.auth.limit(c).Scope.String(),
		BoundTokens: c.RequireDPoP, SecondFactor: c.RequireSecondFactor,
	}
	if !c.Public() {
		r.SecretExpiresAt = new(int64)
	}
	return r
}

// hasToken reports whether the request has the bearer token with this digest.
func hasToken(r *http.Request, digest string) bool {
	return subtle.ConstantTimeCompare([]byte(secret.Digest(bearerToken(r))), []byte(digest)) == 1
}

// bearerToken returns the bearer token of the request; empty if it has none, or more than one.
func bearerToken(r *http.Request) string {
	values := r.Header["Authorization"]
	if len(values) != 1 {
		return ""
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
