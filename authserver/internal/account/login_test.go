package account_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
)

// fixture is a Login with a database and a clock of its own.
type fixture struct {
	*account.Login
	t     *testing.T
	store *store.Store
	path  string
	now   time.Time

	sessions atomic.Int64 // that logins have started
}

// The password of every user in these tests, a wrong one, and the address of most logins.
const (
	right = "securepassword"
	wrong = "anothersecurepass"
	home  = "192.0.2.1"
)

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{
		t:    t,
		path: filepath.Join(t.TempDir(), "hallpass.db"),
		now:  time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC),
	}
	var err error
	if f.store, err = store.Open(t.Context(), "sqlite:"+f.path, databasetest.Pool); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.store.Close() }) // a test may have closed it
	if _, err := f.store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.Login = &account.Login{
		Store:  f.store,
		Hasher: newHasher(t, bcrypt.MinCost),
		Gate:   account.NewGate(2, 100),
		Now:    func() time.Time { return f.now },
		Log:    slog.New(slog.DiscardHandler),
	}
	return f
}

// add adds a user whose password is hashed at the given cost.
func (f *fixture) add(username string, cost int) account.User {
	f.t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(right), cost)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.addHash(username, string(hash))
}

func (f *fixture) addHash(username, hash string) account.User {
	f.t.Helper()
	u, err := account.New(username, "Name of "+username, hash, f.now)
	if err == nil {
		err = f.store.CreateUser(f.t.Context(), u)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return u
}

// addRaw adds a user as a previous version did, with the username unchanged.
func (f *fixture) addRaw(username string) account.User {
	f.t.Helper()
	hash, err := f.Hasher.Hash(right)
	if err != nil {
		f.t.Fatal(err)
	}
	u := account.User{ID: account.IDPrefix + username, Username: username, Name: username, CreatedAt: f.now}
	db, err := sql.Open("sqlite", "file:"+f.path+"?_pragma=busy_timeout(60000)")
	if err != nil {
		f.t.Fatal(err)
	}
	defer db.Close()
	_, err = db.ExecContext(f.t.Context(), "INSERT INTO users (id, username, name, password_hash, created_at) "+
		"VALUES ($1, $2, $3, $4, $5)", u.ID, username, u.Name, hash, f.now.Unix()+1)
	if err != nil {
		f.t.Fatal(err)
	}
	return u
}

// setEmail gives a user an email address.
func (f *fixture) setEmail(username, email string, verified bool) {
	f.t.Helper()
	_, err := f.store.UpdateUser(f.t.Context(), username, f.now, func(u account.User) (account.User, error) {
		u.Email, u.EmailVerified = email, verified
		return u, nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// addDemo adds a user of the demo.
func (f *fixture) addDemo(username string, cost int) account.User {
	f.t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(right), cost)
	if err != nil {
		f.t.Fatal(err)
	}
	u, err := account.New(username, username, string(hash), f.now)
	u.Demo = true
	if err == nil {
		err = f.store.CreateUser(f.t.Context(), u)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return u
}

// check logs in and returns the error.
func (f *fixture) check(username, password string) error {
	f.t.Helper()
	return f.checkFrom(home, username, password)
}

// checkFrom logs in from an address and returns the error. A login that succeeds starts a
// session.
func (f *fixture) checkFrom(address, username, password string) error {
	f.t.Helper()
	a := account.Attempt{Username: username, Password: password, Address: address}
	u, err := f.Check(f.t.Context(), a)
	if (err == nil && u.ID == "") || (err != nil && u.ID != "") {
		f.t.Errorf("%s: got user %+v with error %v", username, u, err)
	}
	if err != nil {
		return err
	}
	digest := strconv.FormatInt(f.sessions.Add(1), 10)
	err = f.store.StartSession(f.t.Context(), store.NewSession{
		Digest: digest, User: u, CreatedAt: f.now, ExpiresAt: f.now.Add(time.Hour),
	})
	if err != nil {
		err = errors.Join(err, f.GiveBack(f.t.Context(), u))
	}
	return err
}

// expect logs in and checks the error; nil means that the login succeeds.
func (f *fixture) expect(username, password string, want error) {
	f.t.Helper()
	if err := f.check(username, password); !errors.Is(err, want) {
		f.t.Errorf("login as %s with %q: got error %v, want %v", username, password, err, want)
	}
}

// isOverloaded reports whether err is an *account.OverloadedError.
func isOverloaded(err error) bool {
	var overloaded *account.OverloadedError
	return errors.As(err, &overloaded)
}

func expectOverloaded(t *testing.T, err error) {
	t.Helper()
	if !isOverloaded(err) {
		t.Errorf("got %v, want an OverloadedError", err)
	}
}

// breakTable makes the statements of an event, such as "INSERT ON users", fail.
func (f *fixture) breakTable(event string) {
	f.t.Helper()
	db, err := sql.Open("sqlite", "file:"+f.path+"?_pragma=busy_timeout(60000)")
	if err != nil {
		f.t.Fatal(err)
	}
	defer db.Close()
	trigger := "CREATE TRIGGER broken BEFORE " + event + " BEGIN SELECT RAISE(ABORT, 'broken on purpose'); END"
	if _, err := db.ExecContext(f.t.Context(), trigger); err != nil {
		f.t.Fatal(err)
	}
}

// RFC 6749 section 5.2: every wrong username or password gets the same error.
func TestCheck(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.add("john.doe", bcrypt.MinCost)
	f.add("disabled", bcrypt.MinCost)
	if err := f.store.DisableUser(t.Context(), "disabled", f.now); err != nil {
		t.Fatal(err)
	}
	f.addHash("broken", "not a hash")
	f.addHash("empty", "")
	longest := strings.Repeat("x", 72)
	hash, err := bcrypt.GenerateFromPassword([]byte(longest), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	f.addHash("long", string(hash))

	f.expect("john.doe", right, nil)
	f.expect("long", longest, nil)
	for _, tt := range []struct{ username, password string }{
		{"john.doe", wrong}, {"john.doe", ""}, {"john.doe", right + " "},
		{"john.doe", right + "\u200b"}, {"john.doe", "SECUREPASSWORD"},
		{"John.Doe", right}, {"john.doe", strings.Repeat("x", 100)}, {"long", longest + "x"},
		{"nobody", right}, {"", right}, {"", ""}, {"disabled", right}, {"disabled", wrong},
		{"broken", right}, {"broken", "not a hash"}, {"empty", ""}, {"empty", right},
	} {
		f.expect(tt.username, tt.password, account.ErrIncorrect)
	}
	f.expect("john.doe", right, nil)
}

// A verified email address works in place of the username. Letter case and spaces around it do not matter.
func TestLoginByEmail(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	old := f.addRaw("old@example.com") // of a previous version, whose usernames could have an @
	for username, email := range map[string]string{
		"john": "John@example.com", "ada": "ada@example.com", "twin": "twins@example.com", "other": "twins@example.com",
		"thief": old.Username,
	} {
		f.add(username, bcrypt.MinCost)
		f.setEmail(username, email, username != "ada")
	}
	for typed, want := range map[string]string{
		"john@example.com": "john", " JOHN@Example.com ": "john", "john": "john", old.Username: old.Username,
	} {
		user, err := f.Check(t.Context(), account.Attempt{Username: typed, Password: right, Address: home})
		if err != nil || user.Username != want {
			t.Errorf("%q: user %q, %v, want %q", typed, user.Username, err, want)
		}
		if err := f.GiveBack(t.Context(), user); err != nil {
			t.Fatal(err)
		}
	}
	f.expect("john@example.com", wrong, account.ErrIncorrect)
	f.expect("nobody@example.com", right, account.ErrIncorrect)
	f.expect("ada@example.com", right, account.ErrIncorrect)   // not verified
	f.expect("twins@example.com", right, account.ErrIncorrect) // of two users
	f.expect("@", right, account.ErrIncorrect)
}

// Guesses at the username and at the email address count together.
func TestGuessesByEmailCountForTheAccount(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.add("john", bcrypt.MinCost)
	f.setEmail("john", "john@example.com", true)
	for i := 0; ; i++ {
		err := f.checkFrom(home, []string{"john", "john@example.com"}[i%2], wrong)
		var throttled *account.ThrottledError
		if errors.As(err, &throttled) {
			break
		}
		if !errors.Is(err, account.ErrIncorrect) || i > 100 {
			t.Fatalf("guess %d: %v", i, err)
		}
	}
	var throttled *account.ThrottledError
	for _, name := range []string{"john", "john@example.com", "JOHN@example.com"} {
		if err := f.checkFrom(home, name, right); !errors.As(err, &throttled) {
			t.Errorf("%s: %v, want a ThrottledError", name, err)
		}
	}
}

// A login replaces a hash whose cost is below the configured one (OWASP).
func TestRehash(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Hasher = newHasher(t, 5)
	for _, tt := range []struct {
		username, password string
		cost, want         int
	}{
		{"lower", right, 4, 5}, {"same", right, 5, 5}, {"higher", right, 6, 6}, {"wrong", wrong, 4, 4},
	} {
		before := f.add(tt.username, tt.cost)
		_ = f.check(tt.username, tt.password)
		after, err := f.store.UserByID(t.Context(), before.ID)
		if err != nil {
			t.Fatal(err)
		}
		cost, err := bcrypt.Cost([]byte(after.PasswordHash))
		if err != nil || cost != tt.want || (tt.cost == tt.want) != (before.PasswordHash == after.PasswordHash) {
			t.Errorf("%s: cost was %d, is now %d, %v; want %d", tt.username, tt.cost, cost, err, tt.want)
		}
	}
	f.expect("lower", right, nil)
	f.expect("lower", wrong, account.ErrIncorrect)
}

// A login succeeds even if the hash cannot be replaced. The log says so, without the hash.
func TestRehashFails(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	u := f.add("john.doe", bcrypt.MinCost)
	f.Hasher = newHasher(t, 5)
	var log strings.Builder
	f.Log = slog.New(slog.NewTextHandler(&log, nil))
	f.breakTable("UPDATE OF password_hash ON users")
	f.expect("john.doe", right, nil)
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), u.ID) {
		t.Errorf("got log %q, want a warning with the user id", log.String())
	}
	if strings.Contains(log.String(), "$2a$") || strings.Contains(log.String(), right) {
		t.Errorf("the log contains a secret: %q", log.String())
	}
}

// When the database fails, the result is neither success nor ErrIncorrect.
func TestCheckWithBrokenDatabase(t *testing.T) {
	t.Parallel()
	t.Run("closed", func(t *testing.T) {
		f := newFixture(t)
		f.add("john.doe", bcrypt.MinCost)
		if err := f.store.Close(); err != nil {
			t.Fatal(err)
		}
		f.expect("john.doe", right, store.ErrUnavailable)
		f.expect("nobody", wrong, store.ErrUnavailable)
	})
	t.Run("failures cannot be recorded", func(t *testing.T) {
		f := newFixture(t)
		f.add("john.doe", bcrypt.MinCost)
		f.breakTable("INSERT ON login_failures")
		for _, username := range []string{"john.doe", "nobody"} {
			err := f.check(username, wrong)
			if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, account.ErrIncorrect) {
				t.Errorf("an unrecorded guess got %v", err)
			}
		}
		f.expect("john.doe", right, store.ErrUnavailable) // or guesses would be free
	})
	t.Run("failures cannot be cleared", func(t *testing.T) {
		f := newFixture(t)
		f.add("john.doe", bcrypt.MinCost)
		f.expect("john.doe", wrong, account.ErrIncorrect)
		f.breakTable("DELETE ON login_failures")
		f.expect("john.doe", right, store.ErrUnavailable)
	})
}

// A login whose context has ended is not checked.
func TestCheckCanceled(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.add("john.doe", bcrypt.MinCost)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := f.Check(ctx, account.Attempt{Username: "john.doe", Password: right})
	if !errors.Is(err, context.Canceled) || errors.Is(err, account.ErrIncorrect) {
		t.Errorf("got %v", err)
	}
}

// RFC 6749 section 4.3.2: a guess counts even if the client hangs up before the response.
func TestFailureCountsAfterHangingUp(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.add("john.doe", bcrypt.MinCost)
	for range freeFailures {
		ctx, cancel := context.WithCancel(t.Context())
		f.Hasher.CountWork(func(int) { cancel() }) // while the password is compared
		_, err := f.Check(ctx, account.Attempt{Username: "john.doe", Password: wrong, Address: home})
		if !errors.Is(err, account.ErrIncorrect) || ctx.Err() == nil {
			t.Fatalf("got error %v with context error %v", err, ctx.Err())
		}
	}
	expectWait(t, f.check("john.doe", right), time.Second)
}

// RFC 9700 section 4.14.2: a login that was waiting when the password changed fails.
func TestPasswordChangedWhileWaiting(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.add("john.doe", bcrypt.MinCost)
	release := f.occupyGate()
	started := make(chan struct{})
	f.Now = sync.OnceValue(func() time.Time { close(started); return f.now })
	var login sync.WaitGroup
	login.Go(func() { f.expect("john.doe", right, account.ErrIncorrect) })
	<-started // the throttle let the login pass; the gate does not yet
	hash, err := f.Hasher.Hash(wrong)
	if err == nil {
		err = f.store.SetPassword(t.Context(), "john.doe", hash, f.now)
	}
	if err != nil {
		t.Error(err)
	}
	release()
	login.Wait()
	f.expect("john.doe", wrong, nil)
}

// A login that has waited for Wait is refused without a comparison, and its try is not counted.
func TestLoginWaitsNoLongerThanWait(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.add("john.doe", bcrypt.MinCost)
	release := f.occupyGate()
	f.Gate.Wait = time.Nanosecond
	for range freeFailures + 1 {
		expectOverloaded(t, f.check("john.doe", wrong))
	}
	f.Gate.Wait = time.Hour
	release()
	f.expect("john.doe", right, nil)
}

func TestCheckOverloaded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.add("john.doe", bcrypt.MinCost)
	release := f.occupyGate()
	const logins = 8
	results := make(chan error, logins)
	for range logins {
		go func() { results <- f.check("john.doe", wrong) }()
	}
	for range logins - 1 { // all but the one that waits
		expectOverloaded(t, <-results)
	}
	release()
	if err := <-results; !errors.Is(err, account.ErrIncorrect) {
		t.Errorf("the login that waited: got %v, want %v", err, account.ErrIncorrect)
	}
}

// A refused login is held back for Hold, so that clients that try again at once do not take the
// CPU from the passwords that are being checked. A client that hangs up is not waited for.
func TestRefusedLoginsAreHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.add("john.doe", bcrypt.MinCost)
		f.add("throttled", bcrypt.MinCost)
		f.Hold = time.Second
		heldFor := func(want time.Duration, username, password string, isExpected func(error) bool) {
			t.Helper()
			begin := time.Now()
			if err := f.check(username, password); !isExpected(err) {
				t.Errorf("%s: unexpected result %v", username, err)
			}
			if got := time.Since(begin); got != want {
				t.Errorf("%s with %q: held back for %v, want %v", username, password, got, want)
			}
		}
		heldFor(0, "john.doe", right, func(err error) bool { return err == nil })
		for range freeFailures {
			heldFor(0, "throttled", wrong, func(err error) bool { return errors.Is(err, account.ErrIncorrect) })
		}
		heldFor(time.Second, "throttled", right, func(err error) bool { return waitOf(err) > 0 })
		release := f.fillGate()
		heldFor(time.Second, "john.doe", right, isOverloaded)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		begin := time.Now()
		_, err := f.Check(ctx, account.Attempt{Username: "john.doe", Password: right, Address: home})
		if got := time.Since(begin); got != time.Second/2 || !isOverloaded(err) {
			t.Errorf("after hanging up: held back for %v, error %v", got, err)
		}
		release()
	})
}

// One address with invented usernames, in as many connections as it likes, does not keep out
// logins from elsewhere.
func TestOneAddressDoesNotKeepOutOthers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.add("john.doe", bcrypt.MinCost)
	const queue, attempts = 8, 66
	f.Gate = account.NewGate(1, queue)
	busy, done := make(chan struct{}), make(chan struct{})
	var holder sync.WaitGroup
	holder.Go(func() { _ = f.Gate.Do(t.Context(), "198.51.100.7", func() error { close(busy); <-done; return nil }) })
	<-busy
	results := make(chan error, attempts)
	for i := range attempts {
		go func() { results <- f.checkFrom("198.51.100.7", "invented "+strconv.Itoa(i), wrong) }()
	}
	for range attempts - queue {
		expectOverloaded(t, <-results)
	}
	honest := make(chan error)
	go func() { honest <- f.check("john.doe", right) }()
	expectOverloaded(t, <-results) // the newest gives way
	close(done)
	if err := <-honest; err != nil {
		t.Errorf("the login from elsewhere: %v", err)
	}
	holder.Wait()
	for range queue - 1 {
		if err := <-results; !errors.Is(err, account.ErrIncorrect) {
			t.Errorf("a login that waited: got %v, want %v", err, account.ErrIncorrect)
		}
	}
}
