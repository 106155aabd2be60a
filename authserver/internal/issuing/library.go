package issuing

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	liberrors "github.com/go-oauth2/oauth2/v4/errors"
	"github.com/go-oauth2/oauth2/v4/manage"
	"github.com/go-oauth2/oauth2/v4/models"
	"github.com/go-oauth2/oauth2/v4/server"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// Only this file knows go-oauth2. The library validates a request and calls the steps of its
// grant in order. It reads clients, tokens and stores through its own interfaces. A libraryRequest
// implements them for one request.
//
// The library's part of a request, with the server that is made for it, takes about 2 us:
// see BenchmarkLibrary.

// steps are the functions and data of a grant type that the library uses, in its order. A grant
// type leaves out those that it does not need.
type steps struct {
	// authenticate checks the username and password of a request and returns the user's id.
	authenticate func(username, password string) (userID string, err error)
	// code is what the authorization code of the request stands for. The library refuses
	// another client, redirect URI or verifier.
	code grant.Code
	// refresh is the grant of the refresh token of the request.
	refresh grant.Grant
	// scope returns what is granted of the requested scope, or an error. For a refresh
	// token it is called only if the request has a scope.
	scope func(requested oauth.Scope) (oauth.Scope, error)
	// issue stores the grant and returns its tokens. The scope is that of step scope, else
	// that of the code or grant.
	issue func(scope oauth.Scope) (oauth.TokenResponse, error)
	// create stores an authorization code and returns it.
	create func(redirectURI, challenge string, scope oauth.Scope) (code string, err error)
}

// libraryRequest is one request as the library sees it: its client store, token store and handlers.
type libraryRequest struct {
	steps
	client   client.Client
	response oauth.TokenResponse // of the step issue
}

// viaLibrary has the library validate a token request and run the steps of its grant type. It
// returns the response of the last step.
func viaLibrary(ctx context.Context, r Request, of steps) (oauth.TokenResponse, error) {
	l := &libraryRequest{steps: of, client: r.Client}
	srv := l.server()
	grantType, request, err := srv.ValidationTokenRequest(httpRequest(ctx, http.MethodPost, r.Form))
	if err == nil {
		_, err = srv.GetAccessToken(ctx, grantType, request)
	}
	if err != nil {
		return oauth.TokenResponse{}, libraryError(err)
	}
	return l.response, nil
}

// authorizeViaLibrary has the library validate an authorization request and create a code.
func (s *Service) authorizeViaLibrary(
	ctx context.Context,
	a Authorization,
	create func(redirectURI, challenge string, scope oauth.Scope) (code string, err error),
) (code string, err error) {
	l := &libraryRequest{client: a.Client, steps: steps{
		scope:  func(requested oauth.Scope) (oauth.Scope, error) { return s.UserScope(a.Client, a.API, requested) },
		create: create,
	}}
	srv := l.server()
	form := maps.Clone(a.Form)
	form.Set("code_challenge_method", "S256") // the library refuses its default even without a challenge
	request, err := srv.ValidationAuthorizeRequest(httpRequest(ctx, http.MethodGet, form))
	if err != nil {
		return "", libraryError(err)
	}
	request.UserID, request.Scope = a.UserID, a.Scope.String()
	info, err := srv.GetAuthorizeToken(ctx, request)
	if err != nil {
		return "", libraryError(err)
	}
	return info.GetCode(), nil
}

// libraryErrors maps the library's errors to those of the protocol. The library's own
// statuses and texts are not used: several are against RFC 6749 section 5.2.
var libraryErrors = []struct {
	from error
	to   *oauth.Error
}{
	{liberrors.ErrInvalidRefreshToken, errNotValid},
	{liberrors.ErrInvalidAuthorizeCode, errNotValid},
	{liberrors.ErrInvalidCodeChallenge, errNotValid},
	{liberrors.ErrMissingCodeVerifier, errNotValid},
	{liberrors.ErrInvalidGrant, errNotValid},
	{liberrors.ErrInvalidRequest, oauth.ErrInvalidRequest.Describe("a parameter that the grant type needs is missing")},
	{liberrors.ErrInvalidClient, errNoClient},
	{liberrors.ErrInvalidScope, oauth.ErrInvalidScope},
	{liberrors.ErrUnauthorizedClient, oauth.ErrUnauthorizedClient},
	{liberrors.ErrUnsupportedGrantType, oauth.ErrUnsupportedGrantType},
}

// libraryError returns the protocol's error for one of the library, or err itself: the
// library passes on the errors of the steps.
func libraryError(err error) error {
	for _, e := range libraryErrors {
		if errors.Is(err, e.from) {
			return e.to
		}
	}
	return err
}

// httpRequest returns a request with the parameters. The library reads them from it.
func httpRequest(ctx context.Context, method string, form url.Values) *http.Request {
	return (&http.Request{Method: method, Form: form}).WithContext(ctx)
}

// server returns the library's server for this one request.
func (l *libraryRequest) server() *server.Server {
	manager := manage.NewManager()
	manager.SetRefreshTokenCfg(&manage.RefreshingConfig{IsGenerateRefresh: true})
	manager.MapClientStorage(l)
	manager.MapTokenStorage(l)
	manager.MapAccessGenerate(tokenGenerator{l})
	manager.MapAuthorizeGenerate(codeGenerator{l})
	// Package web has compared the URI. The library would compare the ends of host names.
	manager.SetValidateURIHandler(func(_, _ string) error { return nil })

	srv := server.NewServer(&server.Config{
		AllowedGrantTypes: []oauth2.GrantType{
			oauth2.AuthorizationCode, oauth2.PasswordCredentials, oauth2.Refreshing, oauth2.ClientCredentials,
		},
		AllowedResponseTypes:        []oauth2.ResponseType{oauth2.Code},
		AllowedCodeChallengeMethods: []oauth2.CodeChallengeMethod{oauth2.CodeChallengeS256},
		ForcePKCE:                   !l.client.WithoutPKCE,
	}, manager)
	srv.SetClientInfoHandler(func(*http.Request) (id, secret string, err error) { return l.client.ID, "", nil })
	srv.SetPasswordAuthorizationHandler(func(_ context.Context, _, username, password string) (string, error) {
		return l.authenticate(username, password)
	})
	srv.SetClientScopeHandler(l.setScope)
	srv.SetRefreshingScopeHandler(func(request *oauth2.TokenGenerateRequest, _ string) (bool, error) {
		return l.setScope(request)
	})
	return srv
}

// setScope replaces the requested scope by the granted one.
func (l *libraryRequest) setScope(request *oauth2.TokenGenerateRequest) (bool, error) {
	requested, err := oauth.ParseScope(request.Scope)
	if err != nil {
		return false, err
	}
	granted, err := l.scope(requested)
	if err != nil {
		return false, err
	}
	request.Scope = granted.String()
	return true, nil
}

// tokenGenerator is the library's AccessGenerate.
type tokenGenerator struct{ *libraryRequest }

// Token runs the step issue.
func (g tokenGenerator) Token(_ context.Context, data *oauth2.GenerateBasic, _ bool) (access, refresh string,
	err error) {
	scope, err := oauth.ParseScope(data.TokenInfo.GetScope())
	if err != nil {
		return "", "", err
	}
	g.response, err = g.issue(scope)
	return g.response.AccessToken, g.response.RefreshToken, err
}

// codeGenerator is the library's AuthorizeGenerate.
type codeGenerator struct{ *libraryRequest }

// Token runs the step create.
func (g codeGenerator) Token(_ context.Context, data *oauth2.GenerateBasic) (code string, err error) {
	scope, err := oauth.ParseScope(data.TokenInfo.GetScope())
	if err != nil {
		return "", err
	}
	return g.create(data.TokenInfo.GetRedirectURI(), data.TokenInfo.GetCodeChallenge(), scope)
}

// GetByID returns the client of the request. There is no other.
func (l *libraryRequest) GetByID(_ context.Context, id string) (oauth2.ClientInfo, error) {
	if l.client.ID == "" || l.client.ID != id {
		return nil, liberrors.ErrInvalidClient
	}
	return clientInfo{l.client}, nil
}

// clientInfo is a client as the library sees it.
type clientInfo struct{ client client.Client }

func (i clientInfo) GetID() string     { return i.client.ID }
func (i clientInfo) GetSecret() string { return "" }
func (i clientInfo) GetDomain() string { return "" }
func (i clientInfo) IsPublic() bool    { return i.client.Public() }
func (i clientInfo) GetUserID() string { return "" }

// VerifyPassword is true: package web has verified the secret, once.
func (i clientInfo) VerifyPassword(string) bool { return true }

// GetByCode returns what the code of the request stands for, even if it was redeemed or has
// expired. The step issue redeems it and decides that, so that a replay is noticed.
func (l *libraryRequest) GetByCode(_ context.Context, code string) (oauth2.TokenInfo, error) {
	info := models.NewToken()
	info.SetCode(code)
	info.SetClientID(l.code.ClientID)
	info.SetUserID(l.code.UserID)
	info.SetRedirectURI(l.code.RedirectURI)
	info.SetScope(l.code.Scope.String())
	info.SetCodeChallenge(l.code.Challenge)
	if l.code.Challenge != "" {
		info.SetCodeChallengeMethod(oauth2.CodeChallengeS256)
	}
	info.SetCodeCreateAt(time.Now()) // by the library's own clock it never expires
	info.SetCodeExpiresIn(grant.CodeLifetime)
	return info, nil
}

// GetByRefresh returns the grant of the refresh token of the request.
func (l *libraryRequest) GetByRefresh(_ context.Context, refresh string) (oauth2.TokenInfo, error) {
	info := models.NewToken()
	info.SetRefresh(refresh)
	info.SetClientID(l.refresh.ClientID)
	info.SetUserID(l.refresh.UserID)
	info.SetScope(l.refresh.Scope.String())
	return info, nil
}

// The library has nothing to store or to remove: the steps issue and create store grants and
// codes, and issue redeems codes and replaces refresh tokens. Access tokens are not stored.

func (l *libraryRequest) Create(context.Context, oauth2.TokenInfo) error { return nil }
func (l *libraryRequest) RemoveByCode(context.Context, string) error     { return nil }
func (l *libraryRequest) RemoveByRefresh(context.Context, string) error  { return nil }
func (l *libraryRequest) RemoveByAccess(context.Context, string) error   { return nil }
func (l *libraryRequest) GetByAccess(context.Context, string) (oauth2.TokenInfo, error) {
	return nil, liberrors.ErrInvalidAccessToken
}
