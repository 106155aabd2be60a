package storetest

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var userSearchTests = []test{
	{"users are found by the beginning of username, email address or name", testSearchUsers},
	{"a search in pages finds each user once", testSearchPages},
	{"a call of a search looks at a limited number of rows", testSearchIsBounded},
	{"cursors of a search that nobody has returned", testSearchCursors},
}

// addSearchable adds a user with an email address and a name.
func addSearchable(t testing.TB, s *store.Store, username, email, name string) {
	t.Helper()
	u := newUser(username)
	u.Email, u.Name = email, name
	must(t, s.CreateUser(t.Context(), u))
}

// searchUsers returns the usernames that a search finds in all its pages.
func searchUsers(t testing.TB, s *store.Store, prefix string, limit int) (names []string) {
	t.Helper()
	after := ""
	for range 1000 {
		users, next, err := s.SearchUsers(t.Context(), prefix, after, limit)
		must(t, err)
		if len(users) > limit {
			t.Fatalf("%d users in a page of %d", len(users), limit)
		}
		for _, u := range users {
			names = append(names, u.Username)
		}
		if after = next; next == "" {
			return names
		}
	}
	t.Fatal("the search has no end")
	return nil
}

func testSearchUsers(t *testing.T, s *store.Store) {
	addSearchable(t, s, "ada", "countess@example.com", "Ada Lovelace")
	addSearchable(t, s, "Adam", "", "First Man")
	addSearchable(t, s, "bob", "ADAMS@example.com", "Bob Adams")
	addSearchable(t, s, "carol", "", "ADALBERT")
	addSearchable(t, s, "100%", "", "A_B")
	addSearchable(t, s, "under_score", "", "back\\slash")
	addSearchable(t, s, "김철수", "", "김철수")
	addSearchable(t, s, "ckim", "", "김영희")
	addSearchable(t, s, "éva", "", "Élise d'Été")
	addSearchable(t, s, "zoe", "", "ÉMILE ÉTÉ")
	addSearchable(t, s, "nut", "", "Ядро Орех")
	addSearchable(t, s, "last", "", "\U0010ffff\U0010fffe")
	for _, tt := range []struct {
		prefix string
		want   []string
	}{
		{"ada", []string{"ada", "Adam", "bob", "carol"}},
		{"ADA", []string{"ada", "Adam", "bob", "carol"}},
		{"adam", []string{"Adam", "bob"}},
		{"countess@example.com", []string{"ada"}},
		{"ada lov", []string{"ada"}},
		{"lovelace", nil},
		{"ada%", nil},
		{"%", nil},
		{"_", nil},
		{"a_", []string{"100%"}},
		{"100%", []string{"100%"}},
		{"under_", []string{"under_score"}},
		{"under-", nil},
		{"back\\", []string{"under_score"}},
		{"김", []string{"김철수", "ckim"}},
		{"김영", []string{"ckim"}},
		{"e\u0301v", []string{"éva"}}, // typed as e and an accent
		{"élise d", []string{"éva"}},
		{"ÉLISE D", []string{"éva"}},
		{"Émile", []string{"zoe"}},
		{"ядро о", []string{"nut"}},
		{"\U0010ffff", []string{"last"}},
		{"nobody", nil},
		{"a\x00da", nil},
		{"\xff", nil},
		{string(make([]byte, 300)), nil},
	} {
		t.Run(strconv.QuoteToASCII(tt.prefix), func(t *testing.T) {
			for _, limit := range []int{1, 2, 100} {
				got := searchUsers(t, s, tt.prefix, limit)
				same(t, fmt.Sprintf("users found in pages of %d", limit), tt.want, got)
			}
		})
	}
	if got := searchUsers(t, s, "", 5); len(got) != 12 {
		t.Errorf("an empty prefix finds %q, want all", got)
	}
}

// Many users have the same name, and many match by more than one field.
func testSearchPages(t *testing.T, s *store.Store) {
	var want []string
	for i := range 40 {
		name := fmt.Sprintf("user%02d", i)
		addSearchable(t, s, name, "", "Kim")
		want = append(want, name)
	}
	for i := range 10 {
		addSearchable(t, s, fmt.Sprintf("kim%02d", i), fmt.Sprintf("kim%02d@example.com", i), "Kim Too")
	}
	same(t, "users by username", want, searchUsers(t, s, "user", 7))
	for _, limit := range []int{1, 7, 40, 50, 51} {
		seen := map[string]int{}
		for _, name := range searchUsers(t, s, "kim", limit) {
			seen[name]++
		}
		if len(seen) != 50 {
			t.Errorf("pages of %d: %d users, want 50", limit, len(seen))
		}
		for name, times := range seen {
			if times != 1 {
				t.Errorf("pages of %d: %s was found %d times", limit, name, times)
			}
		}
	}
}

// A page may end before it is full, so that users who were shown before do not make a call slow.
func testSearchIsBounded(t *testing.T, s *store.Store) {
	const count = 2100
	users := make([]account.User, 0, count)
	for i := range count {
		u := newUser(fmt.Sprintf("user%04d", i))
		u.Name = "User"
		users = append(users, u)
	}
	must(t, addAll(t, s, users))
	short := false
	after, found := "", 0
	for range 100 {
		page, next, err := s.SearchUsers(t.Context(), "user", after, 1500)
		must(t, err)
		short = short || len(page) < 1500 && next != ""
		found += len(page)
		if after = next; next == "" {
			break
		}
	}
	if found != count || !short || after != "" {
		t.Errorf("found %d users, a short page: %v, ended: %v; want %d, true, true", found, short, after == "", count)
	}
}

// addAll adds users.
func addAll(t testing.TB, s *store.Store, users []account.User) error {
	t.Helper()
	for _, u := range users {
		if err := s.CreateUser(t.Context(), u); err != nil {
			return err
		}
	}
	return nil
}

func testSearchCursors(t *testing.T, s *store.Store) {
	ctx := t.Context()
	addUser(t, s, "ada")
	addUser(t, s, "adam")
	_, next, err := s.SearchUsers(ctx, "ada", "", 1)
	must(t, err)
	if next == "" {
		t.Fatal("there is no second page")
	}
	for _, cursor := range []string{"x", "!", next + "A", "eyJyIjotMX0", "eyJyIjo5OX0"} {
		_, _, err := s.SearchUsers(ctx, "ada", cursor, 1)
		expect(t, "cursor "+cursor, err, record.ErrCursor)
	}
	_, _, err = s.SearchUsers(ctx, "bob", next, 1)
	expect(t, "the cursor of another search", err, record.ErrCursor)
	must(t, s.DeleteUser(ctx, "ada", start))
	users, _, err := s.SearchUsers(ctx, "ada", next, 1)
	must(t, err)
	if len(users) != 1 || users[0].Username != "adam" {
		t.Errorf("after the last user of a page was deleted: %v", users)
	}
}
