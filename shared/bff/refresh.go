package bff

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"golang.org/x/oauth2"
)

// keepRefreshed is how long requests that still have the old cookies get the tokens of a refresh, for example
// because the browser missed the response with the new cookies. After that, and at other replicas, the old
// refresh token is sent again, which the server accepts within its grace period.
const keepRefreshed = time.Minute

// tokenKey is the digest of a refresh token.
type tokenKey [sha256.Size]byte

// flight is a refresh that is running or has succeeded.
type flight struct {
	done   chan struct{} // closed when tokens or err is set
	tokens *oauth2.Token
	at     time.Time // when the tokens were received
	err    error
}

// flights ensures that a refresh token is sent only once, however many requests need it.
type flights struct {
	mu      sync.Mutex
	byToken map[tokenKey]*flight
}

// do returns the flight for a refresh token. Otherwise it starts one with run, and forgets it after a
// failure or after keepRefreshed.
func (f *flights) do(key tokenKey, run func(*flight)) *flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	if running, ok := f.byToken[key]; ok {
		return running
	}
	started := &flight{done: make(chan struct{})}
	f.byToken[key] = started
	go func() {
		run(started)
		if started.err != nil {
			f.forget(key)
		} else {
			time.AfterFunc(keepRefreshed, func() { f.forget(key) })
		}
		close(started.done)
	}()
	return started
}

func (f *flights) forget(key tokenKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.byToken, key)
}

// refresh returns the session with new tokens. The error is errEnded if the server refuses the refresh token,
// and errUnavailable if it does not respond. A refresh continues even if the browser disconnects, because its
// other requests need the tokens.
func (h *Handler) refresh(ctx context.Context, s *session) (*session, error) {
	f := h.flights.do(sha256.Sum256([]byte(s.RefreshToken)), func(f *flight) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), authTimeout)
		defer cancel()
		f.tokens, f.err = h.fetchTokens(ctx, s.RefreshToken)
		f.at = h.cfg.Now()
	})
	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, errUnavailable
	}
	if f.err != nil {
		return nil, f.err
	}
	return s.withTokens(f.tokens, f.at), nil
}

// fetchTokens sends a refresh token to the authorization server.
func (h *Handler) fetchTokens(ctx context.Context, refreshToken string) (*oauth2.Token, error) {
	server, err := h.authServer(ctx)
	if err == nil {
		source := server.config.TokenSource(h.withClient(ctx), &oauth2.Token{RefreshToken: refreshToken})
		var tokens *oauth2.Token
		if tokens, err = source.Token(); err == nil {
			return tokens, nil
		}
	}
	if isCode(err, "invalid_grant") {
		return nil, errEnded
	}
	h.cfg.Log.WarnContext(ctx, "session not refreshed", "reason", reason(err))
	return nil, errUnavailable
}
