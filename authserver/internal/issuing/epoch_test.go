package issuing_test

import (
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
)

// After a restore nothing that was issued before it is valid, neither what the database knows nor
// what it has forgotten. The latter is simulated by a database that has never had it.
func TestTokensOfAPreviousEpoch(t *testing.T) {
	b, forgetful := newRefreshBench(t), newRefreshBench(t)
	must(t, forgetful.data.DeleteUser(t.Context(), b.user.Username, b.now))
	must(t, forgetful.data.CreateUser(t.Context(), b.user)) // so that grant 1 is of the same user and client
	old, err := b.issue(issuing.New(b.cfg), request(), b.app)
	must(t, err)

	for name, restored := range map[string]*bench{"known": b, "forgotten": forgetful} {
		t.Run(name, func(t *testing.T) {
			running := issuing.New(restored.cfg)
			_, _ = running.Inspect(t.Context(), watcher, old.AccessToken) // reads the epoch
			epoch := grant.NewEpoch()
			_, err := restored.data.StartEpoch(t.Context(), epoch, restored.now)
			must(t, err)
			restored.now = restored.now.Add(time.Second)
			fresh, err := restored.issue(running, request(), restored.app)
			must(t, err)
			if uri := restored.claims(fresh).Status.URI; uri != issuer+"/status-lists/"+epoch+"/0" {
				t.Errorf("a new token refers to %s", uri)
			}
			for what, text := range map[string]string{"access": old.AccessToken, "refresh": old.RefreshToken} {
				expectActive(t, "the "+what+" token", running, text, issuing.ErrNotActive)
				must(t, running.Revoke(t.Context(), restored.app, text))
			}
			refreshed, err := restored.issue(running, request(refreshing(old.RefreshToken)...), restored.app)
			refusedAs(t, "refresh", refreshed, err, oauth.CodeInvalidGrant)
			expectActive(t, "the new token", running, fresh.AccessToken, nil)
		})
	}
}

// The numbers of a previous epoch are used again. So a service gets a number of the epoch that its token
// refers to, also if a running server knows the previous one.
func TestServiceGrantOfAPreviousEpoch(t *testing.T) {
	b := newBench(t)
	first := client.Client{ID: "first", Name: "Service", SecretDigest: "digest", Scope: b.app.Scope, CreatedAt: b.now,
		Grants: []oauth.GrantType{oauth.GrantClientCredentials}}
	other := first
	other.ID = "second"
	must(t, b.data.CreateClient(t.Context(), first))
	must(t, b.data.CreateClient(t.Context(), other))
	e := issuing.New(b.cfg)
	form := request("grant_type", "client_credentials")
	_, err := b.issue(e, form, first)
	must(t, err)
	b.now = b.now.Add(issuing.CacheTime - time.Millisecond)
	_, err = b.issue(e, form, other) // its grant is kept in memory for longer than the epoch
	must(t, err)
	_, err = b.data.StartEpoch(t.Context(), grant.NewEpoch(), b.now)
	must(t, err)
	b.now = b.now.Add(time.Millisecond)
	answer, err := b.issue(e, form, other)
	must(t, err)
	expectActive(t, "a token after the restore", e, answer.AccessToken, nil)
}
