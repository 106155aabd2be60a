package bearer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/hallpass-auth/hallpass/shared/internal/sparselog"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/statuslist"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// Config says which authorization server an API trusts. Issuer, Audience and exactly one of KeysURL,
// KeysFile, TokenSecret and Keys are required.
type Config struct {
	// Issuer is the identifier of the authorization server, a URL, written exactly as in its
	// tokens (RFC 8414 section 2).
	Issuer string
	// Audience is the identifier of this API, an absolute URI, which a token must have in aud.
	Audience string

	// KeysURL is the address of the authorization server's public keys: its /jwks.json. The keys
	// are fetched in the background. Until the first fetch, requests with a token get a 503. An http
	// URL is accepted only for this machine: see keyring.NewURL.
	KeysURL string
	// KeysFile is the path of a JWK Set. The file is read again when it changes. It is refused if it
	// holds a secret with which this API could sign tokens for another one.
	KeysFile string
	// TokenSecret is a secret of 32 bytes or more that the authorization server shares with its APIs.
	TokenSecret string
	// Keys is a source that the caller has opened and keeps fresh. While its ring is nil, requests with a token get a
	// 503.
	Keys keyring.Source

	// ScopeIncludes has the scopes that a scope includes: with "items:write": {"items:read"}, a token with
	// items:write may do what needs items:read. Included scopes include others in turn. The claims of a
	// token keep the scope that was granted.
	ScopeIncludes map[string][]string

	// PublicURL is the URL at which clients call the API. It is needed only if that is not Audience, and only for
	// DPoP (RFC 9449): a proof is for one URL, and a server behind a proxy does not see which URL the client has
	// called. If it has a path, requests may arrive with the path or without it.
	PublicURL string
	// RequireDPoP refuses access tokens that are not bound to a key of the client. A server that cannot check proofs,
	// such as one of package rpcbearer, then refuses all.
	RequireDPoP bool
	// BearerOnly refuses access tokens that are bound to a key of the client, and the metadata and the challenges offer
	// no DPoP. It is for an API that cannot check proofs, such as one of package rpcbearer. PublicURL and
	// DPoPNonceSecret are then not used.
	BearerOnly bool
	// DPoPNonceSecret is a secret of 32 bytes or more that all replicas of the API share. Clients must then have a
	// nonce of the API in their proofs, which is derived from it. By default the shared secret of KeysFile,
	// TokenSecret or Keys is used, if there is one, and otherwise no nonce is needed.
	DPoPNonceSecret string

	// StatusListsURL is the address of the authorization server's status lists, for an API that
	// reaches the server at another address than Issuer. Empty means Issuer + "/status-lists". The
	// lists are signed, so an http URL may name another machine: see statuslist.Config.
	StatusListsURL string
	// AllowMissingStatus accepts tokens that refer to no status list. They cannot be revoked: a token that
	// an attacker makes with a stolen key stays valid until the key is retired. Tokens of Hallpass always
	// refer to a list, so set it only in tests or for another issuer.
	AllowMissingStatus bool
	// Transport makes the requests for keys and status lists; nil means http.DefaultTransport.
	Transport http.RoundTripper
	// Log gets failures to refresh keys and lists, and why tokens are not accepted: one refusal a minute at level info,
	// one token and one proof a minute that cannot be checked at level warn, the others at level debug. Nil means
	// slog.Default().
	Log *slog.Logger
	// Now is the clock for the expiry of tokens, lists and keys; nil means time.Now.
	Now func() time.Time
}

// ConfigError is the error of Open for a wrong Config.
type ConfigError struct {
	// Field is the name of the field of Config. It is Keys if none or more than one of KeysURL, KeysFile,
	// TokenSecret and Keys is set.
	Field string
	// Err says what is wrong with it. It never holds a secret.
	Err error
}

// Error names the field and says what is wrong with it.
func (e *ConfigError) Error() string { return "bearer.Config." + e.Field + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *ConfigError) Unwrap() error { return e.Err }

// Open returns a Guard that keeps its keys and status lists fresh until ctx ends. It reads KeysFile
// before it returns, but makes no network request. The error is a *ConfigError.
func Open(ctx context.Context, cfg Config) (*Guard, error) {
	if err := oauth.ValidateIssuer(cfg.Issuer); err != nil {
		return nil, &ConfigError{"Issuer", err}
	}
	if err := oauth.ValidateAudience(cfg.Audience); err != nil {
		return nil, &ConfigError{"Audience", err}
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	keys, watch, err := openKeys(ctx, cfg)
	if err != nil {
		return nil, err
	}
	lists, err := statuslist.Open(ctx, statuslist.Config{
		Keys:      keys,
		Issuer:    cfg.Issuer,
		Audience:  cfg.Audience,
		URL:       cfg.StatusListsURL,
		Log:       cfg.Log,
		Transport: cfg.Transport,
		Now:       cfg.Now,
	})
	if err != nil {
		return nil, &ConfigError{"StatusListsURL", err}
	}
	verifier, err := token.NewVerifier(token.VerifierConfig{
		Keys:          keys,
		Issuer:        cfg.Issuer,
		Audience:      cfg.Audience,
		Revocations:   lists,
		RequireStatus: !cfg.AllowMissingStatus,
		Now:           cfg.Now,
	})
	if err != nil {
		return nil, err
	}
	guard := New(verifier, cfg.Log)
	guard.lists, guard.refused = lists, sparselog.New(slog.LevelInfo, moreRefused)
	guard.includes, guard.requireDPoP = allIncluded(cfg.ScopeIncludes), cfg.RequireDPoP
	guard.proofs, err = openProofs(cfg, keys)
	if err != nil {
		return nil, err
	}
	if watch != nil {
		go watch(ctx) // last, so that nothing runs after an error
	}
	return guard, nil
}

// allIncluded returns the scopes that each scope includes, also by others.
func allIncluded(direct map[string][]string) map[string]oauth.Scope {
	all := map[string]oauth.Scope{}
	for scope := range direct {
		found := oauth.Scope{scope}
		for i := 0; i < len(found); i++ { // found grows
			for _, included := range direct[found[i]] {
				if !found.Has(included) {
					found = append(found, included)
				}
			}
		}
		all[scope] = found
	}
	return all
}

// openKeys opens the source of keys that cfg names. It also returns what keeps the keys fresh until its context
// ends, or nil for keys that do not change or that the caller keeps fresh.
func openKeys(ctx context.Context, cfg Config) (keys keyring.Source, watch func(context.Context), err error) {
	sources := 0
	for _, set := range []bool{cfg.KeysURL != "", cfg.KeysFile != "", cfg.TokenSecret != "", cfg.Keys != nil} {
		if set {
			sources++
		}
	}
	switch {
	case sources == 0:
		return nil, nil, &ConfigError{"Keys", errors.New("no key: set one source of keys")}
	case sources > 1:
		return nil, nil, &ConfigError{"Keys", errors.New("more than one source of keys is set: set one")}
	case cfg.KeysURL != "":
		keys, err := keyring.NewURL(cfg.KeysURL, cfg.Log)
		if err != nil {
			return nil, nil, &ConfigError{"KeysURL", err}
		}
		keys.SetTransport(cfg.Transport)
		return keys, keys.Watch, nil
	case cfg.KeysFile != "":
		keys, err := openKeysFile(ctx, cfg)
		if err != nil {
			return nil, nil, &ConfigError{"KeysFile", fmt.Errorf("%s: %w", cfg.KeysFile, err)}
		}
		return keys, func(ctx context.Context) { keys.Watch(ctx, cfg.Log) }, nil
	case cfg.TokenSecret != "":
		keys, err := keyring.FromSecret(cfg.TokenSecret)
		if err != nil {
			return nil, nil, &ConfigError{"TokenSecret", err}
		}
		return keys, nil, nil
	}
	if ring := cfg.Keys.Current(); ring != nil {
		if err := checkKeys(ring, cfg.Audience); err != nil {
			return nil, nil, &ConfigError{"Keys", err}
		}
	}
	return cfg.Keys, nil, nil
}

// openKeysFile opens cfg.KeysFile. Each time the file is read, checkKeys must accept it.
func openKeysFile(ctx context.Context, cfg Config) (*keyring.File, error) {
	return keyring.Open(cfg.KeysFile, func(ring *keyring.Ring) error {
		if err := checkKeys(ring, cfg.Audience); err != nil {
			return err
		}
		warnAboutPrivateKeys(ctx, ring, cfg.Log)
		return nil
	})
}

// checkKeys refuses keys with which the API of this audience could sign tokens for another API: a key
// that is bound to the other API, or a shared secret that is bound to none if this API also has its own
// key. The keys file of an authorization server with several APIs has both.
func checkKeys(ring *keyring.Ring, audience string) error {
	if other, ok := ring.BoundToOther(audience); ok {
		return fmt.Errorf("it holds the secret of another API, %s, which this one must not have: "+
			"'authserver key export' makes a file without it", other)
	}
	own, shared := false, false
	for _, key := range ring.Keys() {
		own = own || key.Audience == audience
		shared = shared || key.Audience == "" && key.Algorithm == keyring.HS256
	}
	if own && shared {
		return fmt.Errorf("it holds the secret of the default API beside that of %s, which must not have it: "+
			"'authserver key export --api %s' makes a file without it", audience, audience)
	}
	return nil
}

// warnAboutPrivateKeys logs each private key, because an API needs only the public half, and of a key for ID
// tokens not even that. It is not an error: the API may share the keys file with an authorization server on
// the same machine. No token that a key for ID tokens has signed is accepted: it is bound to an audience that
// no API can have.
func warnAboutPrivateKeys(ctx context.Context, ring *keyring.Ring, log *slog.Logger) {
	for _, key := range ring.Keys() {
		switch {
		case key.Algorithm == keyring.HS256 || key.SigningKey() == nil:
		case key.ForIDTokens():
			log.WarnContext(ctx, "the keys file has the private key for ID tokens, which is for the authorization server "+
				"alone: 'authserver key export' makes a file without it; the key is ignored", "kid", key.ID)
		default:
			log.WarnContext(ctx, "the keys file has a private key, so an attacker who can read it can sign tokens: "+
				"'authserver key export' makes a file without it, and a keys URL needs no file", "kid", key.ID)
		}
	}
}
