package account_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

// Each login has a result, and the results are those that are announced.
func TestLoginResults(t *testing.T) {
	f := newFixture(t)
	f.add("john.doe", bcrypt.MinCost)
	f.add("former", bcrypt.MinCost)
	if err := f.store.DisableUser(t.Context(), "former", f.now); err != nil {
		t.Fatal(err)
	}
	var got []string
	f.Observe = func(result string) { got = append(got, result) }
	check := func(username, password string) {
		_, _ = f.Check(t.Context(), account.Attempt{Username: username, Password: password, Address: home})
	}
	check("john.doe", right)
	check("john.doe", wrong)
	check("nobody", right)
	check("former", right)
	for range account.AddressLimit.Free {
		check("john.doe", wrong)
	}
	check("john.doe", right)
	last := got[len(got)-1]
	if err := f.store.Close(); err != nil {
		t.Fatal(err)
	}
	check("john.doe", right)
	want := []string{"ok", "wrong_password", "unknown_user", "disabled_user", "throttled", "error"}
	if diff := cmp.Diff(want, append(got[:4:4], last, got[len(got)-1])); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	for _, result := range got {
		if !slices.Contains(account.LoginResults(), result) {
			t.Errorf("LoginResults does not have %s", result)
		}
	}
}
