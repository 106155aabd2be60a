package storetest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var administratorTests = []test{
	{"two administrators delete each other", lastAdministratorIsKept},
	{"administrator leaves the group", administratorLeaves},
	{"disabled administrator leaves while somebody enables them", disabledAdministratorLeaves},
	{"change of a user that must not have changed", changeUnlessChanged},
	{"groups are counted", groupsAreCounted},
}

// member returns a user in groups.
func member(t *testing.T, name string, groups ...string) account.User {
	t.Helper()
	u, err := account.New(name, name, "hash", start)
	must(t, err)
	u.Groups = groups
	return u
}

// addAdministrators creates active administrators.
func addAdministrators(t *testing.T, s *store.Store, names ...string) {
	t.Helper()
	for _, name := range names {
		must(t, s.CreateUser(t.Context(), member(t, name, account.AdminGroup)))
	}
}

// Of administrators who all remove each other at once, exactly one stays, whatever they do.
func lastAdministratorIsKept(t *testing.T, s *store.Store) {
	names := []string{"ada", "bea", "cleo", "dora"}
	for round := range 5 {
		addAdministrators(t, s, names...)
		var wg sync.WaitGroup
		results := make([]error, len(names))
		for i, name := range names {
			wg.Go(func() {
				if i%2 == 0 {
					results[i] = s.DeleteUserIf(t.Context(), name, start, store.KeepAdministrator)
					return
				}
				results[i] = s.DisableUser(t.Context(), name, start, store.KeepAdministrator)
			})
		}
		wg.Wait()
		kept := 0
		for i, err := range results {
			switch {
			case errors.Is(err, account.ErrLastAdministrator):
				kept++
			case err != nil:
				t.Errorf("round %d: %s: %v", round, names[i], err)
			}
		}
		if n, err := s.Administrators(t.Context()); err != nil || n != 1 || kept != 1 {
			t.Errorf("round %d: %d administrators are left (%v), %d changes were refused; want 1 and 1", round, n, err, kept)
		}
		for _, name := range names {
			_ = s.DeleteUser(t.Context(), name, start) // some are gone
		}
	}
}

// The last administrator can change anything but the group. Users of the demo and disabled users do not count.
func administratorLeaves(t *testing.T, s *store.Store) {
	addAdministrators(t, s, "ada")
	demo, off := member(t, "demo", account.AdminGroup), member(t, "off", account.AdminGroup)
	similar := member(t, "similar", "Admins", "admins2", "x-admins")
	demo.Demo, off.DisabledAt = true, start
	for _, u := range []account.User{demo, off, similar} {
		must(t, s.CreateUser(t.Context(), u))
	}
	change := func(groups ...string) error {
		_, err := s.UpdateUser(t.Context(), "ada", start.Add(time.Hour), func(u account.User) (account.User, error) {
			u.Name, u.Groups = "Ada", groups
			return u, nil
		}, store.KeepAdministrator)
		return err
	}
	if err := change("staff"); !errors.Is(err, account.ErrLastAdministrator) {
		t.Errorf("leave: %v, want ErrLastAdministrator", err)
	}
	if err := change("admins", "staff"); err != nil {
		t.Errorf("join another group: %v", err)
	}
	for _, name := range []string{"demo", "off", "similar"} {
		if err := s.DeleteUserIf(t.Context(), name, start, store.KeepAdministrator); err != nil {
			t.Errorf("delete %s: %v", name, err)
		}
	}
	addAdministrators(t, s, "bea")
	if err := change("staff"); err != nil {
		t.Errorf("leave while there is another: %v", err)
	}
}

// Between reading a disabled administrator and storing that they leave the group, they become the last one.
func disabledAdministratorLeaves(t *testing.T, s *store.Store) {
	addAdministrators(t, s, "ada")
	off := member(t, "off", account.AdminGroup)
	off.DisabledAt = start
	must(t, s.CreateUser(t.Context(), off))
	_, err := s.UpdateUser(t.Context(), "off", start, func(u account.User) (account.User, error) {
		must(t, s.EnableUser(t.Context(), "off", start))
		must(t, s.DeleteUserIf(t.Context(), "ada", start, store.KeepAdministrator))
		u.Groups = nil
		return u, nil
	}, store.KeepAdministrator)
	if n, countErr := s.Administrators(t.Context()); n != 1 || !errors.Is(err, account.ErrLastAdministrator) {
		t.Errorf("%d administrators are left (%v), error %v, want ErrLastAdministrator", n, countErr, err)
	}
}

// A condition sees the user as the change does.
func changeUnlessChanged(t *testing.T, s *store.Store) {
	must(t, s.CreateUser(t.Context(), member(t, "ada", "staff")))
	failure := errors.New("changed")
	refuse := store.Unless(func(u account.User) error {
		if len(u.Groups) == 1 && u.Groups[0] == "staff" {
			return failure
		}
		return nil
	})
	for what, err := range map[string]error{
		"delete":  s.DeleteUserIf(t.Context(), "ada", start, refuse),
		"disable": s.DisableUser(t.Context(), "ada", start, refuse),
		"enable":  s.EnableUser(t.Context(), "ada", start, refuse),
	} {
		if !errors.Is(err, failure) {
			t.Errorf("%s: got error %v, want that of the condition", what, err)
		}
	}
	allow := store.Unless(func(account.User) error { return nil })
	must(t, s.DeleteUserIf(t.Context(), "ada", start, allow))
	if err := s.DeleteUserIf(t.Context(), "ada", start, allow); !errors.Is(err, record.ErrNotFound) {
		t.Errorf("a user who is gone: %v", err)
	}
}

func groupsAreCounted(t *testing.T, s *store.Store) {
	var long []string // more than PostgreSQL can have in an index
	for i := range 50 {
		long = append(long, string(rune('a'+i%26))+string(rune('a'+i/26))+"-"+
			"0123456789012345678901234567890123456789012345678901234567")
	}
	for name, groups := range map[string][]string{"a": {"zx", "zy"}, "b": {"zx"}, "c": nil, "d": append(long[:49], "zx")} {
		must(t, s.CreateUser(t.Context(), member(t, name, groups...)))
	}
	groups, err := s.Groups(t.Context())
	must(t, err)
	want := []store.Group{{Name: "zx", Members: 3}, {Name: "zy", Members: 1}}
	if diff := cmp.Diff(want, groups[len(groups)-2:]); diff != "" || len(groups) != 51 {
		t.Errorf("%d groups, the last ones (-want +got):\n%s", len(groups), diff)
	}
}
