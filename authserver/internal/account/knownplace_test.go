package account_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

// placeQueries records what is asked about users and their places.
type placeQueries struct {
	account.LoginStore
	asked []string
}

func (s *placeQueries) UserByUsername(ctx context.Context, username string) (account.User, error) {
	s.asked = append(s.asked, "username")
	return s.LoginStore.UserByUsername(ctx, username)
}

func (s *placeQueries) UsersByEmail(ctx context.Context, address string, limit int) ([]account.User, error) {
	s.asked = append(s.asked, "address")
	return s.LoginStore.UsersByEmail(ctx, address, limit)
}

func (s *placeQueries) KnowsAddress(
	ctx context.Context,
	userID string,
	key account.FailureKey,
	now time.Time,
) (bool, error) {
	s.asked = append(s.asked, "place")
	return s.LoginStore.KnowsAddress(ctx, userID, key, now)
}

// A place is known to the users who have logged in there. Time must not tell whether there is a user: the same is asked
// about everybody.
func TestKnownPlace(t *testing.T) {
	t.Parallel()
	const away = "203.0.113.7"
	f := newFixture(t)
	f.NameKey = []byte("key")
	f.add("john.doe", bcrypt.MinCost)
	f.add("jane.smith", bcrypt.MinCost)
	john, err := f.login(account.Browser{}, home, right)
	if err != nil {
		t.Fatal(err)
	}
	browser := f.WithLogin(account.Browser{}, john, "random")
	queries := &placeQueries{LoginStore: f.store}
	f.Store = queries
	for what, tt := range map[string]struct {
		typed, address string
		browser        account.Browser
		known          bool
	}{
		"a known browser":     {"john.doe", away, browser, true},
		"a known address":     {"john.doe", home, account.Browser{}, true},
		"another place":       {"john.doe", away, account.Browser{}, false},
		"that of another":     {"jane.smith", home, browser, false},
		"that of nobody":      {"joan.dark", home, browser, false},
		"an unknown address":  {"nobody@example.com", home, browser, false},
		"a name in fullwidth": {"ｊohn.doe", home, account.Browser{}, true},
		"nobody in fullwidth": {"ｊoan.dark", home, account.Browser{}, false},
	} {
		queries.asked = nil
		place, err := f.KnownPlace(t.Context(), tt.typed, tt.address, tt.browser)
		if err != nil || (place != "") != tt.known {
			t.Errorf("%s: place %q, %v", what, place, err)
		}
		want := []string{"username", "place"}
		switch tt.typed {
		case "nobody@example.com":
			want = []string{"username", "address", "place"}
		case "ｊohn.doe", "ｊoan.dark":
			want = []string{"username", "username", "place"}
		}
		if diff := cmp.Diff(want, queries.asked); diff != "" {
			t.Errorf("%s: queries (-want +got):\n%s", what, diff)
		}
	}
}

// The store gets only ids of users, also for names that nobody has: PostgreSQL refuses the bytes of a digest, so that
// logins to these would fail in another way.
func TestStoreGetsIDs(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.NameKey = []byte("key")
	f.add("john.doe", bcrypt.MinCost)
	ids := &askedIDs{LoginStore: f.store}
	f.Store = ids
	for _, name := range []string{"john.doe", "joan.dark", "x", "nobody@example.com", ""} {
		_, err := f.Check(t.Context(), account.Attempt{Username: name, Password: wrong, Address: home})
		if !errors.Is(err, account.ErrIncorrect) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if len(ids.asked) != 5 {
		t.Errorf("asked for %d users, want 5", len(ids.asked))
	}
	for _, id := range ids.asked {
		if !utf8.ValidString(id) || strings.ContainsRune(id, 0) {
			t.Errorf("asked for %q", id)
		}
	}
}

// askedIDs notes whose known addresses are looked up.
type askedIDs struct {
	account.LoginStore
	asked []string
}

func (a *askedIDs) KnowsAddress(
	ctx context.Context,
	userID string,
	key account.FailureKey,
	now time.Time,
) (bool, error) {
	a.asked = append(a.asked, userID)
	return a.LoginStore.KnowsAddress(ctx, userID, key, now)
}
