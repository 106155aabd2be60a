package main

import (
	"context"
	"crypto/sha256"
	"net/url"
	"sync"
	"time"
)

// maxExchanged bounds the tokens that are kept.
const maxExchanged = 10_000

// exchanger exchanges the tokens of users for tokens of another API (RFC 8693), and keeps these until they expire.
// It is safe for concurrent use.
type exchanger struct {
	client *client
	api    string // identifier of the other API
	scope  string

	mu   sync.Mutex
	kept map[[sha256.Size]byte]accessToken // by the digest of the user's token
}

// newExchanger returns an exchanger for tokens of an API.
func newExchanger(client *client, api, scope string) *exchanger {
	return &exchanger{client: client, api: api, scope: scope, kept: map[[sha256.Size]byte]accessToken{}}
}

// exchange returns a token of the other API for the user whose token is given.
func (e *exchanger) exchange(ctx context.Context, userToken string) (bearerToken, error) {
	digest := sha256.Sum256([]byte(userToken))
	if token, ok := e.get(digest); ok {
		return token, nil
	}
	const accessTokenType = "urn:ietf:params:oauth:token-type:access_token"
	token, err := e.client.token(ctx, url.Values{
		"grant_type":         {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token":      {userToken},
		"subject_token_type": {accessTokenType},
		"resource":           {e.api},
		"scope":              {e.scope},
	})
	if err != nil {
		return "", err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.kept) >= maxExchanged {
		clear(e.kept)
	}
	e.kept[digest] = token
	return bearerToken(token.text), nil
}

// get returns a kept token that does not expire within a few seconds.
func (e *exchanger) get(digest [sha256.Size]byte) (bearerToken, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	token, ok := e.kept[digest]
	return bearerToken(token.text), ok && time.Now().Add(10*time.Second).Before(token.expires)
}
