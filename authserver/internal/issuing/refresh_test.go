package issuing_test

import (
	"errors"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
)

// newRefreshBench returns a bench whose access tokens live longer than a refresh token may be
// idle: an hour, and three hours in all.
func newRefreshBench(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	b.cfg.Lifetime, b.cfg.RefreshIdle, b.cfg.RefreshLifetime = 2*time.Hour, time.Hour, 3*time.Hour
	b.app.Grants = append(b.app.Grants, oauth.GrantRefreshToken)
	return b
}

// watcher is app as a client that may introspect tokens for every API of these tests.
var watcher = client.Client{
	ID: "app", Introspects: true, IntrospectsFor: []string{client.DefaultAPI, billing.Audience},
}

// expectActive inspects a token.
func expectActive(t *testing.T, what string, e *issuing.Service, raw string, want error) {
	t.Helper()
	if _, err := e.Inspect(t.Context(), watcher, raw); !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// RFC 9700 section 4.14.2: refreshing ends, however often it is done and however long the
// access tokens live.
func TestRefreshingEnds(t *testing.T) {
	b := newRefreshBench(t)
	e := issuing.New(b.cfg)
	began := b.now
	answer, err := b.issue(e, request(), b.app)
	must(t, err)
	for b.now.Sub(began) < 150*time.Minute {
		b.now = b.now.Add(50 * time.Minute)
		answer, err = b.issue(e, request(refreshing(answer.RefreshToken)...), b.app)
		must(t, err)
		found, err := e.Inspect(t.Context(), watcher, answer.RefreshToken)
		must(t, err)
		want := b.now.Add(time.Hour)
		if end := began.Add(3 * time.Hour); end.Before(want) {
			want = end
		}
		if got := found.Grant.Refresh.ExpiresAt; !got.Equal(want) {
			t.Errorf("after %v it is valid until %v, want %v", b.now.Sub(began), got, want)
		}
	}
	b.now = began.Add(3*time.Hour - time.Second)
	expectActive(t, "the refresh token before its end", e, answer.RefreshToken, nil)
	b.now = began.Add(3 * time.Hour)
	expectActive(t, "the refresh token at its end", e, answer.RefreshToken, issuing.ErrNotActive)
	expectActive(t, "the access token at that time", e, answer.AccessToken, nil)
	after, err := b.issue(e, request(refreshing(answer.RefreshToken)...), b.app)
	refusedAs(t, "refreshing at the end", after, err, oauth.CodeInvalidGrant)
}

// A grant is stored for as long as any of its access tokens is valid, so that it can be revoked:
// also the last one that a replaced refresh token gives at the end of its grace period.
func TestGrantLastsAsLongAsItsTokens(t *testing.T) {
	b := newRefreshBench(t)
	b.cfg.RefreshGrace = 5 * time.Minute
	e := issuing.New(b.cfg)
	first, err := b.issue(e, request(), b.app)
	must(t, err)
	_, err = b.issue(e, request(refreshing(first.RefreshToken)...), b.app)
	must(t, err)
	b.now = b.now.Add(b.cfg.RefreshGrace - time.Second)
	last, err := b.issue(e, request(refreshing(first.RefreshToken)...), b.app)
	must(t, err)
	stored, err := b.data.GrantByNumber(t.Context(), 1)
	must(t, err)
	if until := b.claims(last).ExpiresAt; stored.ExpiresAt.Before(until) {
		t.Errorf("the grant is kept until %v, and its access token is valid until %v", stored.ExpiresAt, until)
	}
}

// RFC 9700 section 4.14.2: an unused refresh token expires, though its access token is valid for
// longer.
func TestIdleRefreshTokenEnds(t *testing.T) {
	b := newRefreshBench(t)
	e := issuing.New(b.cfg)
	answer, err := b.issue(e, request(), b.app)
	must(t, err)
	for range 2 { // the first refresh token, and a later one
		began := b.now
		b.now = began.Add(time.Hour)
		late, err := b.issue(e, request(refreshing(answer.RefreshToken)...), b.app)
		refusedAs(t, "refreshing after an hour", late, err, oauth.CodeInvalidGrant)
		expectActive(t, "the refresh token after an hour", e, answer.RefreshToken, issuing.ErrNotActive)
		expectActive(t, "the access token after an hour", e, answer.AccessToken, nil)
		b.now = began.Add(time.Hour - time.Second)
		answer, err = b.issue(e, request(refreshing(answer.RefreshToken)...), b.app)
		must(t, err)
	}
}
