package issuing

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/manage"
	"github.com/go-oauth2/oauth2/v4/server"

	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// tokenType is the token_type of every answer (RFC 6750 §4), in the letters that
// clients of the original program know.
const tokenType = "bearer"

// Passwords checks a username and password; *account.Login does. Implementations of this and
// of the other interfaces of the package are safe for concurrent use.
type Passwords interface {
	Check(ctx context.Context, a account.Attempt) (account.User, error)
}

// Users finds the user a token is about, or record.ErrNotFound.
type Users interface {
	UserByID(ctx context.Context, id string) (account.User, error)
}

// Clients finds a client, or record.ErrNotFound.
type Clients interface {
	ClientByID(ctx context.Context, id string) (client.Client, error)
}

// Grants keeps grants.
type Grants interface {
	// StartGrant stores a grant that a user gives and returns its number, or
	// grant.ErrInactive.
	StartGrant(ctx context.Context, g grant.Grant) (number int64, err error)
	// CreateCode stores an authorization code, CodeByDigest finds it again, or is
	// grant.ErrCodeUnknown.
	CreateCode(ctx context.Context, c grant.Code) error
	CodeByDigest(ctx context.Context, digest string) (grant.Code, error)
	// RedeemCode turns a code into a grant and returns its number. A code that was
	// redeemed before is grant.ErrCodeUsed with the number of the grant that it gave.
	RedeemCode(ctx context.Context, digest string, g grant.Grant) (number int64, err error)
	// ServiceGrant returns the number of the one grant that a client gives itself, or
	// grant.ErrInactive.
	ServiceGrant(ctx context.Context, clientID string, now time.Time) (number int64, err error)
	// GrantByNumber returns a grant, or record.ErrNotFound.
	GrantByNumber(ctx context.Context, number int64) (grant.Grant, error)
	// RotateRefresh replaces the refresh token whose digest is replaced, if it still is
	// the current one of an active grant, and reports whether it was.
	RotateRefresh(ctx context.Context, number int64, replaced string, r grant.Refresh, now, expiresAt time.Time) (bool, error)
	// RevokeGrant ends a grant, and reports whether it was active.
	RevokeGrant(ctx context.Context, number int64, now time.Time) (bool, error)
}

// Config says what tokens are to say and who answers the library's questions; all
// fields are required.
type Config struct {
	// Issuer is the iss of every token. Audience is the identifier of the API of the settings:
	// the aud of the tokens that name no other.
	Issuer, Audience string
	// Lifetime is how long an access token is good.
	Lifetime time.Duration
	// RefreshIdle is how long a refresh token is good if it is not used, RefreshLifetime
	// how long a grant lives however often it is.
	RefreshIdle, RefreshLifetime time.Duration
	// RefreshGrace is how long after its use a refresh token is still answered, with the
	// very token that took its place.
	RefreshGrace time.Duration

	Passwords Passwords
	Users     Users
	Clients   Clients
	Grants    Grants
	APIs      APIs
	Signer    *token.Signer
	// Verifier accepts what Signer signs, for whichever API, so that a token can be asked
	// about.
	Verifier *token.Verifier
	Now      func() time.Time
	// Random is where refresh tokens come from; crypto/rand.Reader.
	Random io.Reader
	Log    *slog.Logger
}

// Engine issues tokens. It is safe for concurrent use.
type Engine struct {
	cfg    Config
	server *server.Server
}

// New returns an engine.
func New(cfg Config) *Engine {
	manager := manage.NewManager()
	manager.SetPasswordTokenCfg(&manage.Config{AccessTokenExp: cfg.Lifetime, IsGenerateRefresh: true})
	manager.SetClientTokenCfg(&manage.Config{AccessTokenExp: cfg.Lifetime})
	manager.SetAuthorizeCodeTokenCfg(&manage.Config{AccessTokenExp: cfg.Lifetime, IsGenerateRefresh: true})
	manager.SetAuthorizeCodeExp(grant.CodeLifetime)
	manager.SetRefreshTokenCfg(&manage.RefreshingConfig{AccessTokenExp: cfg.Lifetime, IsGenerateRefresh: true})
	manager.MapClientStorage(clientStore{})
	manager.MapTokenStorage(&tokenStore{cfg: cfg})
	manager.MapAccessGenerate(&minter{cfg: cfg})
	manager.MapAuthorizeGenerate(&coder{cfg: cfg})
	// The edge has compared the URI letter by letter. The library would compare the ends
	// of host names.
	manager.SetValidateURIHandler(func(_, _ string) error { return nil })

	srv := server.NewServer(&server.Config{
		TokenType: tokenType,
		AllowedGrantTypes: []oauth2.GrantType{
			oauth2.AuthorizationCode, oauth2.PasswordCredentials, oauth2.Refreshing, oauth2.ClientCredentials,
		},
		AllowedResponseTypes:        []oauth2.ResponseType{oauth2.Code},
		AllowedCodeChallengeMethods: []oauth2.CodeChallengeMethod{oauth2.CodeChallengeS256},
		ForcePKCE:                   true,
	}, manager)
	srv.SetClientInfoHandler(clientOfRequest)
	srv.SetClientScopeHandler(grantScope)
	srv.SetRefreshingScopeHandler(narrowedScope)
	srv.SetPasswordAuthorizationHandler(func(ctx context.Context, _, username, password string) (string, error) {
		user, err := cfg.Passwords.Check(ctx, account.Attempt{
			Username: username, Password: password, ClientID: clientFrom(ctx).ID, GrantType: oauth.GrantPassword,
		})
		*callFrom(ctx).verified = user
		return user.ID, err
	})
	return &Engine{cfg: cfg, server: srv}
}

// Supports reports whether the engine knows the grant type.
func (e *Engine) Supports(grantType oauth.GrantType) bool {
	return e.server.CheckGrantType(oauth2.GrantType(grantType))
}

// GrantTypes returns the grant types that the engine knows.
func (e *Engine) GrantTypes() []oauth.GrantType {
	var types []oauth.GrantType
	for _, t := range e.server.Config.AllowedGrantTypes {
		types = append(types, oauth.GrantType(t))
	}
	return types
}

// Issue runs the grant that the request's form asks for, on behalf of the client,
// and returns the members of the answer (RFC 6749 §5.1). The edge has parsed and
// checked the form, authenticated the client and found the grant type allowed for
// it. The error is an *oauth.Error where the protocol has a word for it, else one
// of package account or of the store.
func (e *Engine) Issue(r *http.Request, c client.Client) (map[string]any, error) {
	answer, err := e.issue(r, c)
	if err != nil {
		return nil, issueError(oauth.GrantType(r.FormValue("grant_type")), err)
	}
	return answer, nil
}

func (e *Engine) issue(r *http.Request, c client.Client) (map[string]any, error) {
	api, err := e.Target(r.Context(), r.FormValue("resource"))
	if err != nil {
		return nil, err
	}
	if err := e.completeRedirect(r); err != nil {
		return nil, err
	}
	asked := call{client: c, api: api, verified: new(account.User)}
	ctx := withCall(r.Context(), asked)
	grantType, request, err := e.server.ValidationTokenRequest(r.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	if grantType == oauth2.Refreshing {
		if asked.refresh, err = e.unlessStolen(ctx, request.Refresh); err != nil {
			return nil, err
		}
		ctx = withCall(ctx, asked)
	}
	info, err := e.server.GetAccessToken(ctx, grantType, request)
	if err != nil {
		return nil, err
	}
	return e.server.GetTokenData(info), nil
}

// completeRedirect adds the redirect URI of the code to a request that has none, since the
// library wants one. Clients of OAuth 2.1 leave it out: the code verifier, without which
// no code is good here, does what it was for (draft-ietf-oauth-v2-1 §10.2). One that is
// sent must be the right one, as RFC 6749 §4.1.3 wants.
func (e *Engine) completeRedirect(r *http.Request) error {
	if r.FormValue("grant_type") != string(oauth.GrantAuthorizationCode) || r.FormValue("redirect_uri") != "" {
		return nil
	}
	c, err := e.cfg.Grants.CodeByDigest(r.Context(), secret.Digest(r.FormValue("code")))
	if err == nil {
		r.Form.Set("redirect_uri", c.RedirectURI)
	}
	return err
}

// grantScope puts what the client may have in place of what it asks for.
func grantScope(request *oauth2.TokenGenerateRequest) (bool, error) {
	asked, err := oauth.ParseScope(request.Scope)
	if err != nil {
		return false, err
	}
	call := callFrom(request.Request.Context())
	given, err := Scope(call.client, call.api, asked)
	if err != nil {
		return false, err
	}
	request.Scope = given.String()
	return true, nil
}

// narrowedScope refuses a scope that the grant does not have. What is left out is
// left out of one access token: the grant keeps it (RFC 6749 §6).
func narrowedScope(request *oauth2.TokenGenerateRequest, granted string) (bool, error) {
	asked, err := oauth.ParseScope(request.Scope)
	if err != nil {
		return false, err
	}
	if name, missing := oauth.Scope(strings.Fields(granted)).Missing(asked...); missing {
		return false, oauth.ErrInvalidScope.Describe("the grant does not have the scope " + name)
	}
	request.Scope = asked.String()
	return true, nil
}
