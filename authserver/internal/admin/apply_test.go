package admin_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/postgrestest"

	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/store/storetest"
)

// postgres is the server of all tests. Each test has a database of its own.
var postgres = sync.OnceValues(postgrestest.Shared)

func TestMain(m *testing.M) {
	code := m.Run()
	if server, err := postgres(); err == nil {
		if err := server.Close(); err != nil {
			panic(err)
		}
	}
	os.Exit(code)
}

// onEachEngine runs a test with the URL of an empty database of each engine.
func onEachEngine(t *testing.T, test func(t *testing.T, url string)) {
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		test(t, "sqlite:"+storetest.SQLite(t))
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		test(t, postgrestest.Database(t, postgres))
	})
}

// open returns a service with a store of its own on a database, as another process has.
func open(t *testing.T, url string) *admin.Service {
	t.Helper()
	s, err := store.Open(t.Context(), url, databasetest.Pool)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &admin.Service{Store: s, Now: newService(t).Now}
}

// stateOf returns a state that only one applier desires: everything in it has its name. The shared client is in both.
func stateOf(name string) admin.Desired {
	d := admin.Desired{
		APIs: []resource.API{{
			Audience: "https://" + name + ".example", Name: name, Scope: oauth.Scope{"read", name},
		}},
		Scopes: []resource.ScopeDescription{{Scope: name, Text: "Use " + name}, {Scope: "read", Text: "Read as " + name}},
	}
	for _, id := range []string{"shared", name} {
		d.Clients = append(d.Clients, admin.DesiredClient{
			Client: client.Client{
				ID: id, Name: name, Grants: []oauth.GrantType{oauth.GrantClientCredentials},
				Scope: oauth.Scope{"read", name}, Introspects: true, IntrospectsFor: []string{"https://" + name + ".example"},
				IDTokenAlgorithm: "RS256",
			},
			Secret: fmt.Sprintf("%s-secret-0123456789-0123456789", name),
		})
	}
	return d
}

// apply makes plans until one can be applied, as the command does.
func apply(ctx context.Context, s *admin.Service, d admin.Desired) error {
	for {
		p, err := s.Plan(ctx, d, true)
		if err != nil {
			return err
		}
		if err := s.Apply(ctx, p); !errors.Is(err, admin.ErrChanged) {
			return err
		}
	}
}

// isAsDesired reports whether nothing is left to change.
func isAsDesired(t *testing.T, s *admin.Service, d admin.Desired) bool {
	t.Helper()
	p, err := s.Plan(t.Context(), d, true)
	if err != nil {
		t.Fatal(err)
	}
	return len(p.Changes) == 0
}

// Whatever two appliers do at once, the database has all of one state and nothing of the other.
func TestTwoAppliersAtOnce(t *testing.T) {
	t.Parallel()
	const rounds = 50
	onEachEngine(t, func(t *testing.T, url string) {
		appliers := []*admin.Service{open(t, url), open(t, url)}
		states := []admin.Desired{stateOf("red"), stateOf("blue")}
		won := [2]int{}
		for round := range rounds {
			var wg sync.WaitGroup
			for i := range appliers {
				wg.Go(func() {
					if err := apply(t.Context(), appliers[i], states[i]); err != nil {
						t.Errorf("round %d: %v", round, err)
					}
				})
			}
			wg.Wait()
			red, blue := isAsDesired(t, appliers[0], states[0]), isAsDesired(t, appliers[1], states[1])
			if red == blue {
				d, err := appliers[0].Export(t.Context())
				t.Fatalf("round %d: red %t, blue %t: %+v (%v)", round, red, blue, d, err)
			}
			if red {
				won[0]++
			} else {
				won[1]++
			}
		}
		t.Logf("red won %d rounds, and blue %d", won[0], won[1])
	})
}

// A plan that no longer fits changes nothing.
func TestApplyOldPlan(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, url string) {
		s := open(t, url)
		old, err := s.Plan(t.Context(), stateOf("red"), true)
		if err != nil {
			t.Fatal(err)
		}
		if err := apply(t.Context(), s, stateOf("blue")); err != nil {
			t.Fatal(err)
		}
		if err := s.Apply(t.Context(), old); !errors.Is(err, admin.ErrChanged) {
			t.Errorf("got error %v, want ErrChanged", err)
		}
		if !isAsDesired(t, s, stateOf("blue")) {
			t.Error("the old plan changed something")
		}
	})
}

// A plan of which one change fails changes nothing.
func TestApplyFails(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, url string) {
		s := open(t, url)
		d := stateOf("red")
		d.Clients[1].Scope = nil // no file can say that
		p, err := s.Plan(t.Context(), d, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Apply(t.Context(), p); !errors.Is(err, client.ErrBad) {
			t.Fatalf("got error %v, want ErrBad", err)
		}
		after, err := s.Export(t.Context())
		if err != nil || len(after.Clients)+len(after.APIs) != 0 {
			t.Errorf("got %+v (%v), want nothing", after, err)
		}
	})
}

// Prune leaves the default API, and clients that have registered themselves; no file can manage those.
func TestPruneLeaves(t *testing.T) {
	t.Parallel()
	s := newService(t)
	if _, err := s.Store.SetDefaultAPI(t.Context(), "https://default.example", start); err != nil {
		t.Fatal(err)
	}
	registered := client.Client{
		ID: "dcr", Name: "MCP", Grants: []oauth.GrantType{oauth.GrantAuthorizationCode}, Source: client.SourceRegistration,
		RedirectURIs: []string{"https://mcp.example/cb"}, CreatedAt: start, LastUsedAt: start,
	}
	if err := s.Store.AddUnregistered(t.Context(), registered); err != nil {
		t.Fatal(err)
	}
	p, err := s.Plan(t.Context(), admin.Desired{}, true)
	if err != nil {
		t.Fatal(err)
	}
	var deleted []string
	for _, c := range p.Changes {
		deleted = append(deleted, c.Kind+" "+c.Key)
	}
	if want := []string{"scope profile"}; !cmp.Equal(deleted, want) {
		t.Errorf("deletes %v, want %v", deleted, want)
	}
	d := admin.Desired{Clients: []admin.DesiredClient{{Client: registered, KeepSecret: true}}}
	if _, err := s.Plan(t.Context(), d, false); !errors.Is(err, client.ErrBad) {
		t.Errorf("a file manages a client that has registered itself: %v", err)
	}
	if exported, err := s.Export(t.Context()); err != nil || len(exported.Clients)+len(exported.APIs) != 0 {
		t.Errorf("exports %+v (%v)", exported, err)
	}
}

// The default API is changed by the name default, whatever its audience is.
func TestApplyDefaultAPI(t *testing.T) {
	t.Parallel()
	s := newService(t)
	if _, err := s.Store.SetDefaultAPI(t.Context(), "https://default.example", start); err != nil {
		t.Fatal(err)
	}
	d := admin.Desired{APIs: []resource.API{{Audience: client.DefaultAPI, Name: "Main", Scope: oauth.Scope{"a"}}}}
	if err := apply(t.Context(), s, admin.Desired{APIs: d.APIs}); err != nil {
		t.Fatal(err)
	}
	a, err := s.API(t.Context(), "https://default.example")
	if err != nil || a.Name != "Main" || a.AnyScope {
		t.Errorf("the API is %+v (%v)", a, err)
	}
	exported, err := s.Export(t.Context())
	if err != nil || len(exported.APIs) != 1 || exported.APIs[0].Audience != client.DefaultAPI {
		t.Errorf("exports %+v (%v)", exported.APIs, err)
	}
}
