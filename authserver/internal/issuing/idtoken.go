package issuing

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// idTokenType is the typ header of ID tokens. Access tokens have another.
const idTokenType = "JWT"

// idTokenClaims are the claims of an ID token (OpenID Connect Core section 2). What the scope shows of the user
// is in it too, because many programs, such as Kubernetes, never ask the userinfo endpoint.
type idTokenClaims struct {
	registeredClaims
	oauth.UserInfo        // its sub is that of the token: the other one is embedded more deeply
	Audience       string `json:"aud"` // one client, as a string: not every client reads a list

	AuthTime        int64    `json:"auth_time"`
	Nonce           string   `json:"nonce,omitempty"`
	AccessTokenHash string   `json:"at_hash"`
	ACR             string   `json:"acr"`
	Methods         []string `json:"amr,omitempty"`
	SessionID       string   `json:"sid,omitempty"`
}

// registeredClaims are iss, iat and exp.
type registeredClaims struct{ jwt.RegisteredClaims }

// idToken is what an ID token is about.
type idToken struct {
	client client.Client
	user   account.User
	scope  oauth.Scope
	login  grant.Authentication
	nonce  string
}

// ErrNoIDTokenKey means that a client should get an ID token, and that no key of the server signs it now. Nothing was
// used up: the same request works once there is a key.
var ErrNoIDTokenKey = errors.New("no key signs ID tokens for the client now")

// needsIDToken reports whether the response to a grant with this scope and login has an ID token. The grants of earlier
// versions do not say when the user has logged in, and get none.
func needsIDToken(scope oauth.Scope, login grant.Authentication) bool {
	return scope.Has(ScopeOpenID) && !login.At.IsZero()
}

// checkIDTokenKey returns ErrNoIDTokenKey if the response to a grant needs an ID token that cannot be signed. It is
// called before a code or a refresh token is used up. A client that got an error afterwards would use it again, and the
// grant would be revoked.
func (s *Service) checkIDTokenKey(c client.Client, g grant.Grant) error {
	if !needsIDToken(g.Scope, g.Authentication) {
		return nil
	}
	algorithm := c.SignsIDTokensWith()
	if _, err := s.cfg.Signer.Keys.Current().IDTokenSigner(algorithm, s.cfg.Now()); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrNoIDTokenKey, algorithm, err)
	}
	return nil
}

// withIDToken adds an ID token to the response of a grant type, if needsIDToken.
func (s *Service) withIDToken(r oauth.TokenResponse, about idToken) (oauth.TokenResponse, error) {
	if !needsIDToken(about.scope, about.login) {
		return r, nil
	}
	now := s.cfg.Now()
	text, err := s.signFor(about.client, idTokenType, idTokenClaims{
		registeredClaims: registeredClaims{jwt.RegisteredClaims{
			Issuer:    s.cfg.Issuer,
			IssuedAt:  jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(s.cfg.Lifetime)),
		}},
		UserInfo:        identityOf(about.user, about.scope),
		Audience:        about.client.ID,
		AuthTime:        about.login.At.Unix(),
		Nonce:           about.nonce,
		AccessTokenHash: accessTokenHash(about.client.SignsIDTokensWith(), r.AccessToken),
		ACR:             about.login.ACR(),
		Methods:         about.login.Methods,
		SessionID:       about.login.SessionID,
	})
	if err != nil {
		return oauth.TokenResponse{}, fmt.Errorf("signing an ID token: %w", err)
	}
	r.IDToken = text
	return r, nil
}

// signFor returns a token with the media type typ and the claims, signed as the client's ID tokens are. It is
// an error if there is no key for that.
func (s *Service) signFor(c client.Client, typ string, claims any) (string, error) {
	algorithm := c.SignsIDTokensWith()
	key, err := s.cfg.Signer.Keys.Current().IDTokenSigner(algorithm, s.cfg.Now())
	if err != nil {
		return "", fmt.Errorf("no key for %s: %w", algorithm, err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	return key.Sign(typ, payload)
}

// accessTokenHash returns the at_hash of an access token: the left half of its hash (OpenID Connect Core section
// 3.1.3.6). The hash is that of the algorithm; Ed25519 has SHA-512.
func accessTokenHash(algorithm, access string) string {
	sum := sha256.Sum256([]byte(access))
	half := sum[:sha256.Size/2]
	if algorithm == keyring.EdDSA {
		long := sha512.Sum512([]byte(access))
		half = long[:sha512.Size/2]
	}
	return base64.RawURLEncoding.EncodeToString(half)
}

// Hint is what an ID token says that a client sends back to the server.
type Hint struct {
	// Subject is the user, ClientID the client that the token was issued to.
	Subject, ClientID string
	// SessionID identifies the browser session of the login; empty if there was none.
	SessionID string
}

// errHint is returned for a text that is no ID token of this server.
var errHint = errors.New("not an ID token of this server")

// ReadHint reads an id_token_hint. The token may have expired, and its key may have retired (OpenID Connect Core
// section 3.1.2.1). It is an error if the text is not an ID token that this server has signed.
func (s *Service) ReadHint(text string) (Hint, error) {
	if len(text) > token.MaxLength {
		return Hint{}, errHint
	}
	var claims idTokenClaims
	parser := jwt.NewParser(jwt.WithoutClaimsValidation(), jwt.WithStrictDecoding(),
		jwt.WithValidMethods(keyring.IDTokenAlgorithms))
	_, err := parser.ParseWithClaims(text, &claims, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		typ, _ := t.Header["typ"].(string)
		key, ok := s.cfg.Signer.Keys.Current().IDTokenKey(kid)
		if !ok || !strings.EqualFold(typ, idTokenType) || t.Header["alg"] != key.Algorithm || t.Header["crit"] != nil {
			return nil, errHint
		}
		return key.VerificationKey(), nil
	})
	if err != nil || claims.Issuer != s.cfg.Issuer || claims.UserInfo.Subject == "" {
		return Hint{}, errHint // the error of the library may quote the token
	}
	return Hint{Subject: claims.UserInfo.Subject, ClientID: claims.Audience, SessionID: claims.SessionID}, nil
}
