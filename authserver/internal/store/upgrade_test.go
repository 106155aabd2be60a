package store_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// fillOld brings a new database to the schema of version 9 and runs statements in it. Then it
// migrates to the current schema.
func fillOld(t *testing.T, statements ...string) *store.Store {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hallpass.db")
	s := mustOpen(t, path)
	if err := s.MigrateTo(t.Context(), 9); err != nil {
		t.Fatal(err)
	}
	for _, statement := range statements {
		if _, err := raw(t, path).ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%v in %s", err, statement)
		}
	}
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func oldUser(id, username, name, created, passwordVersion string) string {
	return "INSERT INTO users (id, username, name, password_hash, created_at, password_version) VALUES ('usr_" + id +
		"', '" + username + "', '" + name + "', 'hash', " + created + ", " + passwordVersion + ")"
}

const oldDemoClient = "INSERT INTO clients (id, name, secret_digest, grant_types, scope, first_party, created_at) " +
	"VALUES ('demo', 'Demo', '', 'password', 'profile', 1, 1000)"

// Users that the demo of an earlier version made are marked. Real users of the same name, and
// those who have changed their password, are not: they must be able to log in without the demo.
func TestDemoUsersOfEarlierVersions(t *testing.T) {
	t.Parallel()
	john, jane := oldUser("1", "john.doe", "John Doe", "1000", "0"), oldUser("2", "jane.smith", "Jane Smith", "1000", "0")
	for name, tt := range map[string]struct {
		statements []string
		want       map[string]bool
	}{
		"demo":           {[]string{oldDemoClient, john, jane}, map[string]bool{"john.doe": true, "jane.smith": true}},
		"one deleted":    {[]string{oldDemoClient, john}, map[string]bool{"john.doe": true}},
		"client deleted": {[]string{john, jane}, map[string]bool{"john.doe": true, "jane.smith": true}},
		"new password": {
			[]string{oldDemoClient, oldUser("1", "john.doe", "John Doe", "1000", "1"), jane},
			map[string]bool{"john.doe": false, "jane.smith": true},
		},
		"real users": {
			[]string{john, oldUser("2", "jane.smith", "Jane Smith", "1060", "0"), oldUser("3", "ada", "Ada", "1000", "0")},
			map[string]bool{"john.doe": false, "jane.smith": false, "ada": false},
		},
		"a real john beside the demo's client": {
			[]string{oldDemoClient, oldUser("1", "john.doe", "John Doe", "2000", "0")}, map[string]bool{"john.doe": false},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := fillOld(t, tt.statements...)
			users, err := s.Users(t.Context(), record.Page{})
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]bool{}
			for _, u := range users {
				got[u.Username] = u.Demo
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("demo users (-want +got):\n%s", diff)
			}
			made, err := s.DemoMade(t.Context())
			if err != nil || !made {
				t.Errorf("demo made: %v, %v; want true: it must not be made in this database again", made, err)
			}
		})
	}
}

// A server of an earlier version that runs beside this one changes the password of a demo user
// without taking the mark away.
func TestDemoUserChangedByAnEarlierVersion(t *testing.T) {
	t.Parallel()
	s := fillOld(t, oldDemoClient, oldUser("1", "john.doe", "John Doe", "1000", "0"))
	before, err := s.UserByUsername(t.Context(), "john.doe")
	if err != nil || !before.Demo {
		t.Fatalf("got %+v, %v, want a demo user", before, err)
	}
	const change = "UPDATE users SET password_hash = 'new', password_version = password_version + 1"
	if err := s.Exec(t.Context(), change); err != nil {
		t.Fatal(err)
	}
	after, err := s.UserByUsername(t.Context(), "john.doe")
	if err != nil || after.Demo {
		t.Errorf("got %+v, %v, want no demo user", after, err)
	}
}

// Users of earlier versions whose names look the same stay, and are reported.
func TestTwinsOfEarlierVersions(t *testing.T) {
	t.Parallel()
	s := fillOld(t,
		oldUser("1", "john.doe", "John", "1000", "0"),
		oldUser("2", "John.Doe", "Another John", "900", "0"),
		oldUser("3", "j\u043ehn.doe", "An impostor", "1100", "0"),
		oldUser("4", "ada", "Ada", "1000", "0"),
	)
	got, err := s.Twins(t.Context(), 10)
	impostors := store.Twins{First: "john.doe", Second: "j\u043ehn.doe"}
	want := []store.Twins{
		{First: "John.Doe", Second: "john.doe"}, {First: "John.Doe", Second: "j\u043ehn.doe"}, impostors,
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("twins (-want +got), error %v:\n%s", err, diff)
	}
	if err := s.DeleteUser(t.Context(), "John.Doe", time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.UserByUsername(t.Context(), "john.doe"); err != nil {
		t.Errorf("the twin of a deleted user: %v", err)
	}
	got, err = s.Twins(t.Context(), 10)
	if diff := cmp.Diff([]store.Twins{impostors}, got); diff != "" || err != nil {
		t.Errorf("twins after the first is deleted (-want +got), error %v:\n%s", err, diff)
	}
}
