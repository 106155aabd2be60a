package bff

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

// Limits of fetching keys. A token that is signed with a new key is accepted within keysPause of its publication, and
// a key that is no longer published is refused after keysLifetime.
const (
	keysLifetime = 5 * time.Minute
	keysPause    = 5 * time.Second // after a fetch, so that strangers cannot cause one with each token
	maxKeys      = 1 << 20         // of the response, in bytes
)

// errTooSoon means that a token may be signed with a key that was published after the last fetch began.
var errTooSoon = fmt.Errorf("its key is not known, and the keys were fetched less than %v ago", keysPause)

// keySet has the keys that the authorization server publishes. It is safe for concurrent use.
type keySet struct {
	url    string
	client *http.Client
	now    func() time.Time
	known  atomic.Pointer[keys] // nil before the first fetch that succeeds

	mu    sync.Mutex // held during a fetch
	tried time.Time  // when the last fetch ended
	err   error      // of the last fetch
}

// keys are the keys of one fetch.
type keys struct {
	oidc.StaticKeySet
	fetched time.Time // when the fetch began
}

// verify verifies a signature, and fetches the keys if it does not fit the known ones. The error is errUnavailable if
// the signature may be of a key that cannot be fetched now.
func (k *keySet) verify(ctx context.Context, jwt string) ([]byte, error) {
	received, known := k.now(), k.known.Load()
	if known != nil && received.Sub(known.fetched) < keysLifetime {
		if payload, err := known.VerifySignature(ctx, jwt); err == nil {
			return payload, nil
		}
	}
	newer, err := k.newerThan(ctx, known)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnavailable, err)
	}
	payload, err := newer.VerifySignature(ctx, jwt)
	if err != nil && newer.fetched.Before(received) {
		err = fmt.Errorf("%w: %w", errUnavailable, errTooSoon)
	}
	return payload, err
}

// newerThan returns keys that were fetched after the known ones. One fetch runs at a time, for all who wait for it.
func (k *keySet) newerThan(ctx context.Context, known *keys) (*keys, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if newer := k.known.Load(); newer != known {
		return newer, nil
	}
	if !k.tried.IsZero() && k.now().Sub(k.tried) < keysPause {
		if k.err != nil {
			return nil, k.err
		}
		return nil, errTooSoon
	}
	newer, err := k.fetch(context.WithoutCancel(ctx)) // others wait for it, too
	k.tried, k.err = k.now(), err
	if err != nil {
		return nil, err
	}
	k.known.Store(newer)
	return newer, nil
}

// fetch fetches the keys. It leaves out those of kinds that are not supported.
func (k *keySet) fetch(ctx context.Context) (*keys, error) {
	fetched := &keys{fetched: k.now()}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch keys: %w", err)
	}
	resp, err := k.client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("fetch keys: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch keys: the response is %s", resp.Status)
	}
	var published struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxKeys)).Decode(&published); err != nil {
		return nil, fmt.Errorf("fetch keys: %w", err)
	}
	for _, text := range published.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(text) != nil {
			continue
		}
		switch key.Key.(type) {
		case *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey:
			fetched.PublicKeys = append(fetched.PublicKeys, key.Key)
		}
	}
	if len(fetched.PublicKeys) == 0 {
		return nil, errors.New("fetch keys: the authorization server publishes none that can be used")
	}
	return fetched, nil
}

// attempt is an oidc.KeySet for one token. It keeps the error of keySet, which go-oidc turns into a text.
type attempt struct {
	keys *keySet
	err  error // nil unless it is errUnavailable
}

// VerifySignature implements oidc.KeySet.
func (a *attempt) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, err := a.keys.verify(ctx, jwt)
	if errors.Is(err, errUnavailable) {
		a.err = err
	}
	return payload, err
}

// verified verifies a token from the authorization server with a method of go-oidc. The error is errUnavailable if the
// token cannot be verified now.
func verified[T any](
	ctx context.Context,
	s *authServer,
	token string,
	verify func(*oidc.IDTokenVerifier, context.Context, string) (T, error),
) (T, error) {
	signature := &attempt{keys: s.keys}
	content, err := verify(oidc.NewVerifier(s.issuer, signature, &s.tokens), ctx, token)
	if signature.err != nil {
		err = signature.err
	}
	return content, err
}
