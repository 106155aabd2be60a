package issuing

import (
	"context"
	"io"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// tokenType is the token_type of bearer tokens (RFC 6750 section 4), in the letters that
// clients of the FastAPI tutorial expect.
const tokenType = "bearer"

// Passwords checks usernames and passwords; *account.Login does. It is safe for concurrent
// use.
type Passwords interface {
	// Check returns the user, or account.ErrIncorrect.
	Check(ctx context.Context, a account.Attempt) (account.User, error)
	// GiveBack gives back the try of a login that leads to neither a grant nor a session,
	// though its password was right.
	GiveBack(ctx context.Context, user account.User) error
}

// Config configures a Service. All fields but SecondFactors, DefaultClient, AdminAPI and Observer
// are required.
type Config struct {
	// Issuer is the iss of every token.
	Issuer string
	// Audience is the default API: the aud of tokens whose request names no resource. The
	// store has it as its default API.
	Audience string
	// Lifetime is the lifetime of an access token.
	Lifetime time.Duration
	// RefreshIdle is how long a refresh token is valid if it is not used.
	RefreshIdle time.Duration
	// RefreshLifetime is how long a grant can be refreshed however often it is.
	RefreshLifetime time.Duration
	// RefreshGrace is how long a refresh token is accepted after its first use. It then gets
	// the same successor.
	RefreshGrace time.Duration

	// Store has users, clients, APIs and grants.
	Store *store.Store
	// Passwords checks the passwords of the password grant.
	Passwords Passwords
	// SecondFactors says which users must have a second factor; the zero value means none.
	SecondFactors account.SecondFactorPolicy
	// DefaultClient is the id of the client assumed when a request omits client_id; empty for none.
	DefaultClient string
	// AdminAPI says that the admin API, at AdminPath below the issuer, is served.
	AdminAPI bool
	// Signer signs access tokens.
	Signer *token.Signer
	// Verifier accepts what Signer signs, for any API, so that tokens can be inspected.
	Verifier *token.Verifier
	// Now is the clock. It should have a monotonic reading, like time.Now.
	Now func() time.Time
	// Random is the source of codes, refresh tokens and the ids of tokens; crypto/rand.Reader.
	Random io.Reader
	// Log gets security events.
	Log *slog.Logger
	// Observer counts requests; nil means that nobody does.
	Observer Observer
}

// Service issues, inspects and revokes tokens. It is safe for concurrent use.
type Service struct {
	cfg      Config
	records  records
	deciding chan struct{} // holds one element for each redemption that is decided in the background
}

// New returns a service.
func New(cfg Config) *Service {
	lists := grant.Lists{Issuer: cfg.Issuer, Default: cfg.Audience}
	return &Service{
		cfg:      cfg,
		records:  newRecords(cfg, lists),
		deciding: make(chan struct{}, decideAtOnce),
	}
}

// ClientByID returns a client, or record.ErrNotFound. The client may be CacheTime old, and with a replica
// store.ReplicaAge older. The caller must not change its slices.
func (s *Service) ClientByID(ctx context.Context, id string) (client.Client, error) {
	return s.records.clients.get(ctx, id)
}

// Request is a token request. Its parameters are syntactically valid and occur once. Its client is authenticated, and
// may use the grant type, unless the server does not know that type.
type Request struct {
	// Client is the client that sent the request.
	Client client.Client
	// Form holds the parameters, grant_type among them.
	Form url.Values
	// Address is the IP address that the request comes from, without the port.
	Address string
	// Agent is the User-Agent header of the request.
	Agent string
	// KeyThumbprint identifies the key of the request's DPoP proof, which is verified (RFC 9449 section 5). The access
	// token is bound to it. Empty means that there is no proof: the token is a bearer token.
	KeyThumbprint string
	// UseProof uses up the proof, or returns why it cannot be used. It is called once the request is good otherwise,
	// right before its grant is written: nobody can fill the database with proofs. Nil if there is no proof.
	UseProof func(context.Context) error
}

// runs has the function that runs each of grant.Types.
var runs = map[oauth.GrantType]func(*Service, context.Context, Request) (oauth.TokenResponse, error){
	oauth.GrantAuthorizationCode: (*Service).authorizationCode,
	oauth.GrantPassword:          (*Service).password,
	oauth.GrantRefreshToken:      (*Service).refreshToken,
	oauth.GrantClientCredentials: (*Service).clientCredentials,
	oauth.GrantDeviceCode:        (*Service).deviceCode,
	oauth.GrantTokenExchange:     (*Service).tokenExchange,
}

// Issue runs the grant type that the request names, and returns the response. The error is
// an *oauth.Error if the client can be told what is wrong, and one of package account or of
// the store otherwise.
func (s *Service) Issue(ctx context.Context, r Request) (oauth.TokenResponse, error) {
	name := oauth.GrantType(r.Form.Get("grant_type"))
	known, ok := grant.TypeOf(name)
	if !ok {
		return oauth.TokenResponse{}, oauth.ErrUnsupportedGrantType.Describe("this server does not know the grant type")
	}
	if absent := missing(r.Form, required(known, r.Client)); len(absent) > 0 {
		return oauth.TokenResponse{}, oauth.ErrInvalidRequest.Describe("missing: " + strings.Join(absent, " and "))
	}
	if err := r.checkProof(); err != nil {
		return oauth.TokenResponse{}, err
	}
	response, err := runs[name](s, ctx, r)
	err = protocolError(err)
	s.observeToken(known, err)
	if err != nil {
		return oauth.TokenResponse{}, err
	}
	return response, nil
}

// required returns the names of the parameters that a request of the client must have.
func required(t grant.Type, c client.Client) []string {
	if !c.WithoutPKCE {
		return t.Required
	}
	return slices.DeleteFunc(slices.Clone(t.Required), func(name string) bool { return name == "code_verifier" })
}

// missing returns those of the names that have no value in the form.
func missing(form url.Values, names []string) (absent []string) {
	for _, name := range names {
		if form.Get(name) == "" {
			absent = append(absent, name)
		}
	}
	return absent
}
