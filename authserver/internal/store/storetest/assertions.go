package storetest

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var assertionTests = []test{
	{"an assertion is used once", testUseAssertion},
	{"concurrent uses of an assertion", testRaceForAssertion},
	{"expired assertions are swept", testSweepAssertions},
	{"two secrets of a client", testAddClientSecret},
	{"replacing the secret ends the old one", testReplaceSecretEndsOld},
	{"concurrent changes of a secret", testRaceToAddClientSecret},
	{"removing the secret of a client", testRemoveClientSecret},
}

func testUseAssertion(t *testing.T, s *store.Store) {
	ctx, end := t.Context(), start.Add(5*time.Minute)
	must(t, s.UseAssertion(ctx, "a", end, start))
	must(t, s.UseAssertion(ctx, "b", end, start))
	expect(t, "a second use", s.UseAssertion(ctx, "a", end, start), record.ErrExists)
	expect(t, "a use with another expiry", s.UseAssertion(ctx, "a", end.Add(time.Hour), end), record.ErrExists)
	must(t, s.UseAssertion(ctx, "A", end, start))
}

// Of many uses at once, one succeeds.
func testRaceForAssertion(t *testing.T, s *store.Store) {
	won := 0
	for _, err := range atOnce(t.Context(), racers, func(ctx context.Context, _ int) error {
		return s.UseAssertion(ctx, "a", start.Add(time.Minute), start)
	}) {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, record.ErrExists):
			t.Errorf("a use that lost: %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d uses succeeded, want 1", won)
	}
}

// Each use deletes a few expired ones, so the table does not grow.
func testSweepAssertions(t *testing.T, s *store.Store) {
	ctx := t.Context()
	const many = 30
	for i := range many {
		must(t, s.UseAssertion(ctx, strconv.Itoa(i), start.Add(time.Minute), start))
	}
	expect(t, "a use before they expire", s.UseAssertion(ctx, "0", start, start.Add(time.Minute)), record.ErrExists)
	later := start.Add(time.Hour)
	for i := range many {
		must(t, s.UseAssertion(ctx, "later "+strconv.Itoa(i), later.Add(time.Minute), later))
	}
	for i := range many { // their digests are free again
		must(t, s.UseAssertion(ctx, strconv.Itoa(i), later.Add(time.Minute), later))
	}
	expect(t, "a use that has not expired",
		s.UseAssertion(ctx, "later 0", later.Add(time.Minute), later), record.ErrExists)
}

func testAddClientSecret(t *testing.T, s *store.Store) {
	ctx, until := t.Context(), start.Add(24*time.Hour)
	c, other := addClient(t, s, "app"), addClient(t, s, "other")
	g := addGrant(t, s, addUser(t, s, "john.doe"), c)
	must(t, s.AddClientSecret(ctx, "app", "second", start, until))
	c.OldSecret = client.OldSecret{Digest: c.SecretDigest, Until: until}
	c.SecretDigest = "second"
	expectClient(t, s, c)
	expectClient(t, s, other)
	expectGrant(t, s, g)

	// A server that has read the client before still starts its grants.
	for _, digest := range []string{c.OldSecret.Digest, c.SecretDigest} {
		_, err := s.ServiceGrant(ctx, "app", digest, start)
		must(t, err)
		early := g
		early.SecretDigest, early.Number = digest, 0
		_, err = s.StartGrant(ctx, early)
		must(t, err)
	}

	renamed, err := s.UpdateClient(ctx, "app", start, func(c client.Client) (client.Client, error) {
		c.Name, c.OldSecret = "Another name", client.OldSecret{}
		return c, nil
	})
	must(t, err)
	c.Name = "Another name"
	same(t, "changed client", c, renamed)
	expectClient(t, s, c)

	must(t, s.AddClientSecret(ctx, "app", "third", start, until))
	c.OldSecret.Digest, c.SecretDigest = "second", "third"
	expectClient(t, s, c)

	must(t, s.EndOldClientSecret(ctx, "app", start))
	c.OldSecret = client.OldSecret{}
	expectClient(t, s, c)
	_, err = s.ServiceGrant(ctx, "app", "second", start)
	expect(t, "the grant of a service with a secret that has ended", err, grant.ErrClientChanged)
	must(t, s.EndOldClientSecret(ctx, "app", start)) // again, which changes nothing

	public := newClient("public")
	public.SecretDigest = ""
	keys := newClient("keys")
	keys.SecretDigest, keys.Assertion = client.NoSecret, client.Assertion{JWKSURI: "https://app.example/"}
	for _, none := range []client.Client{public, keys} {
		must(t, s.CreateClient(ctx, none))
		expect(t, "adding a secret to "+none.ID, s.AddClientSecret(ctx, none.ID, "digest", start, until), record.ErrNotFound)
		expectClient(t, s, none)
	}
	expect(t, "AddClientSecret", s.AddClientSecret(ctx, "nobody", "digest", start, until), record.ErrNotFound)
	expect(t, "EndOldClientSecret", s.EndOldClientSecret(ctx, "nobody", start), record.ErrNotFound)
}

// A secret that has leaked must not live on as the old one. Servers of the previous version run the
// same statements.
func testReplaceSecretEndsOld(t *testing.T, s *store.Store) {
	ctx := t.Context()
	for name, replace := range map[string]func() error{
		"set":     func() error { return s.SetClientSecret(ctx, "app", "third", start) },
		"replace": func() error { return s.ReplaceClientSecret(ctx, "app", "third", start) },
	} {
		c := addClient(t, s, "app")
		must(t, s.AddClientSecret(ctx, "app", "second", start, start.Add(time.Hour)))
		must(t, replace())
		c.SecretDigest = "third"
		got, err := s.ClientByID(ctx, "app")
		must(t, err)
		same(t, "client after "+name, c, got)
		must(t, s.DeleteClient(ctx, "app", start))
	}
}

// Whatever the order, the old secret is the one before the current one.
func testRaceToAddClientSecret(t *testing.T, s *store.Store) {
	c := addClient(t, s, "app")
	known := map[string]bool{c.SecretDigest: true}
	for i := range racers {
		known["secret "+strconv.Itoa(i)] = true
	}
	for _, err := range atOnce(t.Context(), racers, func(ctx context.Context, i int) error {
		return s.AddClientSecret(ctx, "app", "secret "+strconv.Itoa(i), start, start.Add(time.Hour))
	}) {
		must(t, err)
	}
	got, err := s.ClientByID(t.Context(), "app")
	must(t, err)
	if !known[got.SecretDigest] || !known[got.OldSecret.Digest] || got.SecretDigest == got.OldSecret.Digest ||
		got.OldSecret.Digest == c.SecretDigest {
		t.Errorf("secrets after the race: %q and %q", got.SecretDigest, got.OldSecret.Digest)
	}
}

func testRemoveClientSecret(t *testing.T, s *store.Store) {
	ctx := t.Context()
	c := addClient(t, s, "app")
	must(t, s.AddClientSecret(ctx, "app", "second", start, start.Add(time.Hour)))
	c.SecretDigest, c.Assertion = client.NoSecret, client.Assertion{JWKSURI: "https://app.example/"}
	got, err := s.UpdateClient(ctx, "app", start, func(client.Client) (client.Client, error) { return c, nil })
	must(t, err)
	same(t, "returned client", c, got)
	expectClient(t, s, c)
	must(t, s.SetClientSecret(ctx, "app", "third", start)) // and back
	c.SecretDigest = "third"
	expectClient(t, s, c)
}
