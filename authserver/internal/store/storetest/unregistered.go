package storetest

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var unregisteredTests = []test{
	{"a client of a document", testDocumentClient},
	{"a client of dynamic registration", testRegistrationClient},
	{"unused clients are swept", testSweepClients},
	{"clients of administrators are not swept", testSweepSparesClients},
	{"clients that an administrator has changed are not swept", testSweepSparesKept},
}

// newUnregistered returns a public client of a source that was last used at start.
func newUnregistered(id string, source client.Source) client.Client {
	return client.Client{
		ID: id, Name: "Name of " + id, Source: source, CreatedAt: start, LastUsedAt: start,
		Grants: []oauth.GrantType{oauth.GrantAuthorizationCode}, Scope: oauth.Scope{"profile"},
		RedirectURIs: []string{"http://127.0.0.1/cb", "cursor://a/cb"},
	}
}

// A document replaces what it said before, and nothing of a client of another source.
func testDocumentClient(t *testing.T, s *store.Store) {
	c := newUnregistered("https://app.example/client.json", client.SourceDocument)
	must(t, s.AddUnregistered(t.Context(), c))
	expectClient(t, s, c)
	c.Name, c.RedirectURIs, c.Scope = "New", []string{"https://app.example/"}, oauth.Scope{"a", "b"}
	c.SecretDigest, c.Assertion = client.NoSecret, client.Assertion{JWKSURI: "https://app.example/jwks"}
	c.LastUsedAt, c.RequireDPoP, c.RequireSecondFactor = start.Add(time.Hour), true, true
	must(t, s.AddUnregistered(t.Context(), c))
	expectClient(t, s, c)
	later := c // an administrator may have required both
	later.RequireDPoP, later.RequireSecondFactor = false, false
	must(t, s.AddUnregistered(t.Context(), later))
	expectClient(t, s, c)

	other := addClient(t, s, "app")
	c.ID = other.ID
	expect(t, "a document of a registered client", s.AddUnregistered(t.Context(), c), record.ErrExists)
	expectClient(t, s, other)
}

func testRegistrationClient(t *testing.T, s *store.Store) {
	c := newUnregistered("dyn", client.SourceRegistration)
	c.RegistrationDigest, c.SecretDigest = "digest", "secret"
	must(t, s.AddUnregistered(t.Context(), c))
	expectClient(t, s, c)
	expect(t, "the same id", s.AddUnregistered(t.Context(), c), record.ErrExists)
	c.LastUsedAt = start.Add(time.Hour)
	must(t, s.UseClient(t.Context(), c.ID, c.LastUsedAt))
	expectClient(t, s, c)
	expect(t, "using an unknown client", s.UseClient(t.Context(), "x", start), record.ErrNotFound)
	app := addClient(t, s, "app")
	expect(t, "using a client of an administrator", s.UseClient(t.Context(), app.ID, start), record.ErrNotFound)
}

// Each new client deletes some that have neither been used for a week nor have a login.
func testSweepClients(t *testing.T, s *store.Store) {
	ctx := t.Context()
	const many = 6
	for i := range many {
		must(t, s.AddUnregistered(ctx, newUnregistered("unused-"+strconv.Itoa(i), client.SourceRegistration)))
	}
	used := newUnregistered("used", client.SourceRegistration)
	must(t, s.AddUnregistered(ctx, used))
	g := newGrant(addUser(t, s, "john"), used)
	g.ExpiresAt = start.Add(30 * 24 * time.Hour)
	_, err := s.StartGrant(ctx, g)
	must(t, err)
	document := newUnregistered("https://a.example/", client.SourceDocument)
	must(t, s.AddUnregistered(ctx, document))

	later := start.Add(client.MaxUnused + time.Second)
	for i := range 3 {
		c := newUnregistered("new-"+strconv.Itoa(i), client.SourceRegistration)
		c.LastUsedAt = later
		must(t, s.AddUnregistered(ctx, c))
	}
	expectClients(t, s, "https://a.example/ new-0 new-1 new-2 used")
}

// expectClients checks the ids of all clients.
func expectClients(t *testing.T, s *store.Store, want string) {
	t.Helper()
	all, err := s.Clients(t.Context(), record.Page{})
	must(t, err)
	ids := []string{}
	for _, c := range all {
		ids = append(ids, c.ID)
	}
	same(t, "clients", want, strings.Join(ids, " "))
}

func testSweepSparesClients(t *testing.T, s *store.Store) {
	app := addClient(t, s, "app")
	c := newUnregistered("dyn", client.SourceRegistration)
	c.LastUsedAt = start.Add(1000 * time.Hour)
	must(t, s.AddUnregistered(t.Context(), c))
	expectClient(t, s, app)
}

// A client that an administrator has changed stays, with what the administrator requires of it. A document that is read
// again does not change that.
func testSweepSparesKept(t *testing.T, s *store.Store) {
	ctx := t.Context()
	for _, source := range []client.Source{client.SourceDocument, client.SourceRegistration} {
		kept := newUnregistered("kept-"+string(source), source)
		must(t, s.AddUnregistered(ctx, kept))
		must(t, s.AddUnregistered(ctx, newUnregistered("unused-"+string(source), source)))
		_, err := s.UpdateClient(ctx, kept.ID, start, func(c client.Client) (client.Client, error) {
			c.RequirePAR, c.RequireDPoP, c.RequireSecondFactor, c.Kept = true, true, true, true
			return c, nil
		})
		must(t, err)
		kept.LastUsedAt = start.Add(time.Hour)
		if source == client.SourceDocument {
			must(t, s.AddUnregistered(ctx, kept))
		} else {
			must(t, s.UseClient(ctx, kept.ID, kept.LastUsedAt))
		}
		added := newUnregistered("new-"+string(source), source)
		added.LastUsedAt = start.Add(1000 * time.Hour)
		must(t, s.AddUnregistered(ctx, added))
		kept.RequirePAR, kept.RequireDPoP, kept.RequireSecondFactor, kept.Kept = true, true, true, true
		expectClient(t, s, kept)
	}
	expectClients(t, s, "kept-document kept-registration new-document new-registration")
}
