package storetest

import (
	"strconv"
	"sync"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var bindingTests = []test{
	{"a grant is bound to one key", testBindGrant},
	{"concurrent bindings of a grant", testRaceToBind},
	{"the first secret of nonces is kept", testNonceSecret},
}

func testBindGrant(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	bound, other := newGrant(u, c), addGrant(t, s, u, c)
	bound.KeyThumbprint = "key of the login"
	bound = startGrant(t, s, bound)
	expectGrant(t, s, bound)
	replaced := other
	replaced.Refresh.Current = "digest of a replaced token"
	for _, tt := range []struct {
		g    grant.Grant
		key  string
		want bool
	}{
		{bound, "another key", false},
		{bound, "key of the login", true},
		{replaced, "first", false},
		{other, "first", true},
		{replaced, "first", true},
		{other, "second", false},
		{other, "first", true},
		{grant.Grant{Number: other.Number + 1}, "first", false},
	} {
		got, err := s.BindGrant(t.Context(), tt.g, tt.key)
		must(t, err)
		same(t, "bound to "+tt.key, tt.want, got)
	}
	expectGrant(t, s, bound)
	other.KeyThumbprint = "first"
	expectGrant(t, s, other)
}

// Of many keys at once, the grant is bound to one.
func testRaceToBind(t *testing.T, s *store.Store) {
	g := addGrant(t, s, addUser(t, s, "john.doe"), addClient(t, s, "app"))
	var wg sync.WaitGroup
	results, errs := make([]bool, 16), make([]error, 16)
	for i := range results {
		wg.Go(func() { results[i], errs[i] = s.BindGrant(t.Context(), g, "key "+strconv.Itoa(i)) })
	}
	wg.Wait()
	winners := 0
	for i, won := range results {
		must(t, errs[i])
		if won {
			winners++
			g.KeyThumbprint = "key " + strconv.Itoa(i)
		}
	}
	same(t, "winners", 1, winners)
	expectGrant(t, s, g)
}

func testNonceSecret(t *testing.T, s *store.Store) {
	for _, fresh := range []string{"first", "second"} {
		secret, err := s.NonceSecret(t.Context(), fresh)
		must(t, err)
		same(t, "secret", "first", secret)
	}
	key, err := s.NameKey(t.Context(), "name key")
	must(t, err)
	same(t, "name key", "name key", key)
}
