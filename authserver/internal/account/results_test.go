package account_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

// loggedReason is the reason of a failed login in a log of JSON.
type loggedReason struct {
	Event, Reason string
}

// Each failed login has a reason in the log and a result, and the results are those that are announced.
func TestLoginFailures(t *testing.T) {
	f := newFixture(t)
	john := f.add("john.doe", bcrypt.MinCost)
	f.addDemo("demo", bcrypt.MinCost)
	f.add("former", bcrypt.MinCost)
	if err := f.store.DisableUser(t.Context(), "former", f.now); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	f.Log = slog.New(slog.NewJSONHandler(&log, nil))
	var results []string
	f.Observe = func(result string) { results = append(results, result) }
	byPassword := func(username, password string, passwordOnly bool) func() {
		return func() {
			_, _ = f.Check(t.Context(), account.Attempt{
				Username: username, Password: password, Address: home, PasswordOnly: passwordOnly,
			})
		}
	}
	byPasskey := func(user account.User, err error) func() {
		return func() { f.LogPasskey(t.Context(), user, account.Attempt{Address: home}, err) }
	}
	f.SecondFactors.Everybody = true
	want := []string{"ok", "error"}
	for _, c := range []struct {
		logIn          func()
		reason, result string
	}{
		{byPassword("nobody", right, false), "unknown user", "unknown_user"},
		{byPassword("former", right, false), "disabled user", "disabled_user"},
		{byPassword("demo", right, false), "demo user while the demo is off", "demo_off"},
		{byPassword("john.doe", wrong, false), "wrong password", "wrong_password"},
		{byPassword("john.doe", right, true), "second factor needed", "second_factor_needed"},
		{byPasskey(account.User{}, account.ErrPasskey), "unknown passkey", "unknown_passkey"},
		{byPasskey(john, account.ErrPasskey), "wrong passkey", "wrong_passkey"},
		{byPasskey(john, &account.ThrottledError{}), "throttled", "throttled"},
		{byPasskey(john, &account.OverloadedError{}), "overloaded", "overloaded"},
	} {
		log.Reset()
		c.logIn()
		want = append(want, c.result)
		var logged loggedReason
		if err := json.Unmarshal(log.Bytes(), &logged); err != nil {
			t.Fatalf("%s: %v in %s", c.reason, err, log.String())
		}
		if logged != (loggedReason{"login_failed", c.reason}) || results[len(results)-1] != c.result {
			t.Errorf("%s: %+v with result %s", c.reason, logged, results[len(results)-1])
		}
	}
	got := account.LoginResults()
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("LoginResults (-want +got):\n%s", diff)
	}
}

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
