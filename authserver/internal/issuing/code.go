package issuing

import (
	"context"
	"maps"
	"net/url"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// Bounds of a code verifier (RFC 7636 section 4.1).
const (
	minVerifier = 43
	maxVerifier = 128
)

// Authorization is what a user has allowed a client at the authorization endpoint.
type Authorization struct {
	// Client is the client that sent the user there.
	Client client.Client
	// Form holds the parameters of the authorization request. They are valid, and the
	// redirect URI is one of the client's.
	Form url.Values
	// API is the API that the client may use.
	API resource.API
	// UserID is the user, Session the digest of the browser session.
	UserID, Session string
	// Login is how the user has logged in.
	Login grant.Authentication
	// Scope is what the client may do.
	Scope oauth.Scope
	// Pushed is the digest of the pushed request; empty if there was none.
	Pushed string
	// ConsentRevocations is how often the user's consents to the client had been revoked before
	// this one was looked up or given: see grant.Code.
	ConsentRevocations int64
}

// Authorize stores an authorization code and returns the URI that takes the browser back to
// the client with it (RFC 6749 section 4.1.2). The error is grant.ErrPushedUnknown if the pushed request was
// used meanwhile.
func (s *Service) Authorize(ctx context.Context, a Authorization) (string, error) {
	nonce := a.Form.Get("nonce")
	code, err := s.authorizeViaLibrary(ctx, a, func(redirectURI, challenge string, scope oauth.Scope) (string, error) {
		code, err := grant.NewCode(s.cfg.Random)
		if err != nil {
			return "", err
		}
		now := s.cfg.Now()
		if !scope.Has(ScopeOpenID) { // the client is not told of the session's end
			a.Login.SessionID, nonce = "", ""
		}
		return code, s.cfg.Store.CreateCode(ctx, grant.Code{
			Digest:      secret.Digest(code),
			ClientID:    a.Client.ID,
			UserID:      a.UserID,
			Session:     a.Session,
			Audience:    a.API.Audience,
			RedirectURI: redirectURI,
			Scope:       scope,
			Challenge:   challenge,

			KeyThumbprint: a.Form.Get("dpop_jkt"),

			CreatedAt: now,
			ExpiresAt: now.Add(grant.CodeLifetime),

			Nonce:              nonce,
			Pushed:             a.Pushed,
			Authentication:     a.Login,
			ConsentRevocations: a.ConsentRevocations,
		})
	})
	if err != nil {
		return "", protocolError(err)
	}
	return s.redirectTo(a.Form.Get("redirect_uri"), a.Form.Get("state"), url.Values{"code": {code}}), nil
}

// Refuse returns the URI that takes the browser back to the client with an error (RFC 6749
// section 4.1.2.1). The redirect URI is one of the client's.
func (s *Service) Refuse(redirectURI, state string, reason *oauth.Error) string {
	return s.redirectTo(redirectURI, state, url.Values{
		"error": {string(reason.Code)}, "error_description": {reason.Description},
	})
}

// redirectTo appends the parameters of a response, and the iss of RFC 9207, to a redirect URI.
// The URI itself stays byte for byte as the client has registered it, its query included (RFC
// 6749 section 3.1.2): some clients compare it, or have a query that is no list of pairs.
func (s *Service) redirectTo(uri, state string, parameters url.Values) string {
	parameters.Set("iss", s.cfg.Issuer)
	if state != "" {
		parameters.Set("state", state)
	}
	return WithParameters(uri, parameters)
}

// WithParameters appends parameters to the query of a URI, which stays byte for byte as it is.
func WithParameters(uri string, parameters url.Values) string {
	separator := "?"
	switch {
	case len(parameters) == 0:
		return uri
	case strings.HasSuffix(uri, "?") || strings.HasSuffix(uri, "&"):
		separator = ""
	case strings.Contains(uri, "?"):
		separator = "&"
	}
	return uri + separator + parameters.Encode()
}

// authorizationCode runs the authorization code grant (RFC 6749 section 4.1.3, RFC 7636
// section 4.5).
func (s *Service) authorizationCode(ctx context.Context, r Request) (oauth.TokenResponse, error) {
	if v := r.Form.Get("code_verifier"); !isVerifier(v) && (v != "" || !r.Client.WithoutPKCE) {
		return oauth.TokenResponse{}, oauth.ErrInvalidRequest.Describe(
			"code_verifier must be 43 to 128 printable ASCII characters (RFC 7636 section 4.1)")
	}
	code, err := s.cfg.Store.CodeByDigest(ctx, secret.Digest(r.Form.Get("code")))
	if err != nil {
		return oauth.TokenResponse{}, err
	}
	if code.KeyThumbprint != "" && code.KeyThumbprint != r.KeyThumbprint && code.ClientID == r.Client.ID {
		return oauth.TokenResponse{}, errCodeKey
	}
	if r.Form.Get("redirect_uri") == "" { // clients of OAuth 2.1 leave it out (draft-ietf-oauth-v2-1 section 10.2)
		if code.Challenge == "" { // without PKCE it protects the code (RFC 6749 section 10.6)
			return oauth.TokenResponse{}, oauth.ErrInvalidRequest.Describe("missing: redirect_uri")
		}
		r.Form = maps.Clone(r.Form)
		r.Form.Set("redirect_uri", code.RedirectURI)
	}
	return viaLibrary(ctx, r, steps{
		code: code, // the library compares client, redirect URI and challenge
		issue: func(oauth.Scope) (oauth.TokenResponse, error) {
			return s.redeem(ctx, r, code)
		},
	})
}

// redeem turns a code into a grant and returns its tokens. What the client or the API has
// lost of the scope since the user allowed it is left out.
func (s *Service) redeem(ctx context.Context, r Request, code grant.Code) (oauth.TokenResponse, error) {
	user, err := s.activeUser(ctx, code.UserID)
	if err != nil {
		return oauth.TokenResponse{}, err
	}
	api, err := s.sameTarget(ctx, r.Form.Get("resource"), code.Audience)
	if err != nil {
		return oauth.TokenResponse{}, err
	}
	scope, err := remainingScope(r.Client, api, code.Scope)
	if err != nil {
		return oauth.TokenResponse{}, err
	}
	g := grant.Grant{
		Type: oauth.GrantAuthorizationCode, Audience: code.Audience, Scope: scope, Authentication: code.Authentication,
	}
	if !scope.Has(ScopeOpenID) {
		g.Authentication.SessionID = ""
	}
	response, err := s.startByCode(ctx, r, api, user, g, redeemable{
		redeem: func(ctx context.Context, g grant.Grant) (int64, error) {
			return s.cfg.Store.RedeemCode(ctx, code.Digest, g)
		},
		confirm: func(ctx context.Context, attempt string) error {
			return s.cfg.Store.ConfirmCode(ctx, code.Digest, attempt)
		},
		takeBack: func(ctx context.Context, attempt string) error {
			return s.cfg.Store.TakeBackCode(ctx, code.Digest, attempt, s.cfg.Now())
		},
	})
	if err != nil {
		return oauth.TokenResponse{}, err
	}
	return s.withIDToken(response, idToken{
		client: r.Client, user: user, scope: scope, login: g.Authentication, nonce: code.Nonce,
	})
}

// isVerifier reports whether a text can be a code verifier. RFC 7636 allows fewer characters
// than all printable ASCII, but clients use others, and only the hash is compared.
func isVerifier(s string) bool {
	printable := !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
	return printable && len(s) >= minVerifier && len(s) <= maxVerifier
}
