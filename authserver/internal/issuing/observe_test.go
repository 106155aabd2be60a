package issuing_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
)

// observed records what an observer is told.
type observed struct {
	mu                sync.Mutex
	tokens, refreshes []string
}

func (o *observed) Token(grantType, result string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tokens = append(o.tokens, grantType+" "+result)
}

func (o *observed) Refresh(result string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refreshes = append(o.refreshes, result)
}

// The observer is told of each request with its grant type and result, and of each use of a refresh token.
func TestObserver(t *testing.T) {
	b := newRefreshBench(t)
	o := &observed{}
	b.cfg.Observer = o
	e := issuing.New(b.cfg)
	send := func(changes ...string) oauth.TokenResponse {
		answer, _ := b.issue(e, request(changes...), b.app)
		return answer
	}
	first := send().RefreshToken
	send("password", "wrong")
	second := send(refreshing(first)...).RefreshToken
	send(refreshing(first)...) // within the grace period
	send(refreshing("x")...)
	send(refreshing(second, "scope", "admin")...)
	other := b.app
	other.ID = "other"
	_, _ = b.issue(e, request(refreshing(second)...), other)
	b.now = b.now.Add(time.Minute)
	send(refreshing(first)...) // a thief's, or the owner's
	send(refreshing(second)...)
	b.now = b.now.Add(48 * time.Hour)
	send(refreshing((grant.RefreshToken{Number: 99}).String())...)

	wantRefreshes := []string{
		"ok", "repeated", "malformed", "refused", "other_client", "reused", "revoked", "unknown",
	}
	if diff := cmp.Diff(wantRefreshes, o.refreshes); diff != "" {
		t.Errorf("refreshes (-want +got):\n%s", diff)
	}
	wantTokens := []string{
		"password ok", "password invalid_grant", "refresh_token ok", "refresh_token ok", "refresh_token invalid_grant",
		"refresh_token invalid_scope",
	}
	if diff := cmp.Diff(wantTokens, o.tokens[:len(wantTokens)]); diff != "" {
		t.Errorf("token requests (-want +got):\n%s", diff)
	}
	for _, result := range o.refreshes {
		if !slices.Contains(issuing.RefreshResults, result) {
			t.Errorf("RefreshResults does not have %s", result)
		}
	}
}
