package storetest

import (
	"strconv"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var loginTests = []test{
	{"failed logins are counted by key", testCountFailures},
	{"failed logins are cleared", testClearFailures},
	{"failed logins expire", testForgetFailures},
	{"old failed logins of other keys are swept", testSweepFailures},
}

// fail records a failed login for the key at a time.
func fail(t *testing.T, s *store.Store, key string, at time.Time) {
	t.Helper()
	must(t, s.RecordFailure(t.Context(), key, at, at.Add(-account.ForgetAfter)))
}

// expectFailures checks the failed logins of the key.
func expectFailures(t *testing.T, s *store.Store, key string, want account.Failures) {
	t.Helper()
	got, err := s.FailedLogins(t.Context(), key)
	must(t, err)
	same(t, "failures of "+key, want, got)
}

func testCountFailures(t *testing.T, s *store.Store) {
	expectFailures(t, s, "john", account.Failures{})
	for i := range 3 {
		at := start.Add(time.Duration(i) * time.Minute)
		fail(t, s, "john", at)
		expectFailures(t, s, "john", account.Failures{Count: i + 1, LastAt: at})
	}
	fail(t, s, "John", start)
	expectFailures(t, s, "John", account.Failures{Count: 1, LastAt: start})
	expectFailures(t, s, "jane", account.Failures{})
}

func testClearFailures(t *testing.T, s *store.Store) {
	must(t, s.ClearFailures(t.Context(), "nobody"))
	fail(t, s, "john", start)
	fail(t, s, "jane", start)
	must(t, s.ClearFailures(t.Context(), "john"))
	expectFailures(t, s, "john", account.Failures{})
	expectFailures(t, s, "jane", account.Failures{Count: 1, LastAt: start})
}

func testForgetFailures(t *testing.T, s *store.Store) {
	fail(t, s, "john", start)
	fail(t, s, "john", start)
	inTime := start.Add(account.ForgetAfter)
	fail(t, s, "john", inTime)
	expectFailures(t, s, "john", account.Failures{Count: 3, LastAt: inTime})
	late := inTime.Add(account.ForgetAfter + time.Second)
	fail(t, s, "john", late)
	expectFailures(t, s, "john", account.Failures{Count: 1, LastAt: late})
}

func testSweepFailures(t *testing.T, s *store.Store) {
	const old = 10
	for i := range old {
		fail(t, s, strconv.Itoa(i), start)
	}
	recent := start.Add(time.Hour)
	fail(t, s, "recent", recent)
	late := start.Add(account.ForgetAfter + time.Minute)
	for range old / 2 { // each sweeps more than one
		fail(t, s, "john", late)
	}
	for i := range old {
		expectFailures(t, s, strconv.Itoa(i), account.Failures{})
	}
	expectFailures(t, s, "recent", account.Failures{Count: 1, LastAt: recent})
	expectFailures(t, s, "john", account.Failures{Count: old / 2, LastAt: late})
}
