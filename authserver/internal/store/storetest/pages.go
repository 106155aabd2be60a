package storetest

import (
	"slices"
	"strconv"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var pageTests = []test{
	{"users are listed by page and prefix", testUserPages},
	{"clients and invitations are listed by page and prefix", testOtherPages},
}

// usernames returns those of a page.
func usernames(t *testing.T, s *store.Store, page record.Page) (names []string) {
	t.Helper()
	users, err := s.Users(t.Context(), page)
	must(t, err)
	for _, u := range users {
		names = append(names, u.Username)
	}
	return names
}

// inPages returns the usernames of all pages, given the first one.
func inPages(t *testing.T, s *store.Store, page record.Page) (all []string) {
	t.Helper()
	for {
		names := usernames(t, s, page)
		if len(names) > page.Limit {
			t.Fatalf("%d users in a page of %d", len(names), page.Limit)
		}
		if len(names) == 0 {
			return all
		}
		if len(all) > 100 {
			t.Fatal("the pages have no end")
		}
		all = append(all, names...)
		page.After = names[len(names)-1]
	}
}

func testUserPages(t *testing.T, s *store.Store) {
	all := []string{
		"Cann", "ann", "anna", "annb", "ano", "bob", "jos\u00e9", "100%", "a_b", "\ud7ffx", "\ue000x",
		"\U0010ffffx", "\U0010ffff\U0010ffff", "\u00ff", "z", "\u65e5\u672c",
	}
	for _, name := range all {
		addUser(t, s, name)
	}
	slices.Sort(all)
	for _, prefix := range []string{"", "a", "ann", "an", "C", "%", "_",
		"jos\u00e9", "\ud7ff", "\U0010ffff", "\u00ff", "zz"} {
		var want []string
		for _, name := range all {
			if len(name) >= len(prefix) && name[:len(prefix)] == prefix {
				want = append(want, name)
			}
		}
		same(t, "all with the prefix "+prefix, want, usernames(t, s, record.Page{Prefix: prefix}))
		for _, size := range []int{1, 3, 100} {
			got := inPages(t, s, record.Page{Prefix: prefix, Limit: size})
			same(t, "pages of "+strconv.Itoa(size)+" with the prefix "+prefix, want, got)
		}
	}
	same(t, "after a name that no user has", []string{"anna", "annb", "ano"},
		usernames(t, s, record.Page{After: "ann!", Prefix: "an"}))
	same(t, "after the prefix", []string(nil), usernames(t, s, record.Page{After: "b", Prefix: "an"}))
}

func testOtherPages(t *testing.T, s *store.Store) {
	ctx := t.Context()
	for _, name := range []string{"app", "apple", "box"} {
		addClient(t, s, name)
		must(t, s.Invite(ctx, account.Invitation{
			Email: "J" + name + "@example.com", CreatedAt: start, ExpiresAt: start.Add(lifetime),
		}, nil))
	}
	for _, tt := range []struct {
		page record.Page
		want []string
	}{
		{record.Page{}, []string{"app", "apple", "box"}},
		{record.Page{After: "app"}, []string{"apple", "box"}},
		{record.Page{After: "app", Limit: 1}, []string{"apple"}},
		{record.Page{Prefix: "app", Limit: 10}, []string{"app", "apple"}},
	} {
		clients, err := s.Clients(ctx, tt.page)
		must(t, err)
		same(t, "clients", tt.want, idsOf(clients))
		page := tt.page
		if page.Prefix != "" {
			page.Prefix = "J" + page.Prefix // compared as an address is: in lower case
		}
		if page.After != "" {
			page.After = "j" + page.After + "@EXAMPLE.com"
		}
		invitations, err := s.Invitations(ctx, start, page)
		must(t, err)
		var got []string
		for _, i := range invitations {
			got = append(got, i.Email[1:len(i.Email)-len("@example.com")])
		}
		same(t, "invitations", tt.want, got)
	}
}

func idsOf(clients []client.Client) (ids []string) {
	for _, c := range clients {
		ids = append(ids, c.ID)
	}
	return ids
}
