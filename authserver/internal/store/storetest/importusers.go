package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var importTests = []test{
	{"users are imported once", testImportUsers},
	{"users who cannot be imported", testImportConflicts},
	{"a dry run imports nobody", testImportDryRun},
	{"concurrent imports of the same users", testRaceToImport},
}

// importAll imports users and returns why each was not added.
func importAll(t testing.TB, i *store.Importer, users ...account.User) []error {
	t.Helper()
	why, err := i.Add(t.Context(), users, start)
	must(t, err)
	if len(why) != len(users) {
		t.Fatalf("%d results for %d users", len(why), len(users))
	}
	return why
}

// manyUsers returns users with verified addresses.
func manyUsers(count int) (users []account.User) {
	for i := range count {
		u := newUser(fmt.Sprintf("user%03d", i))
		u.Email, u.EmailVerified, u.Groups = u.Username+"@example.com", true, []string{"staff"}
		users = append(users, u)
	}
	return users
}

func testImportUsers(t *testing.T, s *store.Store) {
	for _, count := range []int{store.ImportBatch, 3} {
		users := manyUsers(count)
		for i := range users {
			users[i].ID += fmt.Sprint(count)
			users[i].Username = fmt.Sprintf("of%d-%s", count, users[i].Username)
			users[i].Email = users[i].Username + "@example.com"
		}
		for round, want := range []error{nil, store.ErrPresent} {
			for i, err := range importAll(t, s.NewImporter(false), users...) {
				expect(t, fmt.Sprintf("round %d, user %d", round, i), err, want)
			}
			for _, u := range users {
				expectUser(t, s, u)
			}
		}
	}
	for _, count := range []int{0, store.ImportBatch + 1} {
		if _, err := s.NewImporter(false).Add(t.Context(), manyUsers(count), start); err == nil {
			t.Errorf("a batch of %d users was taken", count)
		}
	}
}

func testImportConflicts(t *testing.T, s *store.Store) {
	ada := newUser("ada")
	ada.Email, ada.EmailVerified = "ada@example.com", true
	must(t, s.CreateUser(t.Context(), ada))
	unverified := addUnverified(t, s, "grace", "grace@example.com")

	sameHash := ada
	sameHash.ID = account.IDPrefix + "another"
	otherHash := sameHash
	otherHash.PasswordHash = "other"
	renamed := ada
	renamed.Username = "countess"
	taken := newUser("countess")
	taken.Email, taken.EmailVerified = "ADA@example.com", true
	shared := newUser("child")
	shared.Email = "ada@example.com" // not verified
	owner := newUser("owner")
	owner.Email, owner.EmailVerified = unverified.Email, true
	second := newUser("second")
	second.Email, second.EmailVerified = owner.Email, true
	for i, err := range importAll(t, s.NewImporter(false),
		ada, renamed, sameHash, otherHash, newUser("ADA"), taken, shared, owner, second, newUser("new"), newUser("NEW")) {
		expect(t, fmt.Sprint("user ", i), err, []error{
			store.ErrPresent, store.ErrPresent, store.ErrPresent, record.ErrExists, record.ErrExists, account.ErrEmailTaken,
			nil, nil, account.ErrEmailTaken, nil, record.ErrExists,
		}[i])
	}
	expectUser(t, s, ada)
	expectUser(t, s, owner)
	_, err := s.UserByUsername(t.Context(), "second")
	expect(t, "a refused user", err, record.ErrNotFound)
}

func testImportDryRun(t *testing.T, s *store.Store) {
	dry := s.NewImporter(true)
	users := manyUsers(3)
	for _, want := range []error{nil, store.ErrPresent} {
		for _, err := range importAll(t, dry, users...) {
			expect(t, "dry run", err, want)
		}
	}
	twin, taken := newUser("USER000"), newUser("other")
	taken.Email, taken.EmailVerified = users[0].Email, true
	why := importAll(t, dry, twin, taken)
	expect(t, "a name of an earlier batch", why[0], record.ErrExists)
	expect(t, "an address of an earlier batch", why[1], account.ErrEmailTaken)
	left, err := s.Users(t.Context(), record.Page{})
	must(t, err)
	same(t, "users after a dry run", []account.User{}, left)
}

// Each user is added by exactly one import.
func testRaceToImport(t *testing.T, s *store.Store) {
	const imports = 6
	users := manyUsers(store.ImportBatch)
	results := make([][]error, imports)
	for _, err := range atOnce(t.Context(), imports, func(ctx context.Context, i int) (err error) {
		batch := users
		if i%2 == 1 { // the same names and addresses, but other people
			batch = manyUsers(store.ImportBatch)
			for n := range batch {
				batch[n].ID += fmt.Sprint("-", i)
				batch[n].PasswordHash += fmt.Sprint(i)
			}
		}
		results[i], err = s.NewImporter(false).Add(ctx, batch, start)
		return err
	}) {
		must(t, err)
	}
	for n := range users {
		added := 0
		for _, why := range results {
			if why[n] == nil {
				added++
			}
		}
		if added != 1 {
			t.Errorf("user %d was added %d times", n, added)
		}
	}
}
