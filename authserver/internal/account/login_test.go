package account_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// house is a Login on a database of its own, with a clock that tests move.
type house struct {
	*account.Login
	t     *testing.T
	store *store.Store
	path  string
	now   time.Time
}

// The password of every user of these tests, and one of nobody.
const (
	right = "securepassword"
	wrong = "anothersecurepass"
)

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, path: filepath.Join(t.TempDir(), "hallpass.db"), now: time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)}
	var err error
	if h.store, err = store.Open(t.Context(), "sqlite:"+h.path, store.DefaultPool); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.store.Close() }) // some tests have closed it
	if _, err := h.store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.Login = &account.Login{
		Store:  h.store,
		Hasher: newHasher(t, bcrypt.MinCost),
		Gate:   account.NewGate(2, 100),
		Now:    func() time.Time { return h.now },
		Log:    slog.New(slog.DiscardHandler),
	}
	return h
}

// add adds a user whose password is hashed at the cost.
func (h *house) add(username string, cost int) account.User {
	h.t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(right), cost)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.addHash(username, string(hash))
}

func (h *house) addHash(username, hash string) account.User {
	h.t.Helper()
	u, err := account.New(username, "Name of "+username, hash, h.now)
	if err == nil {
		err = h.store.CreateUser(h.t.Context(), u)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return u
}

// check logs in.
func (h *house) check(username, password string) error {
	h.t.Helper()
	u, err := h.Check(h.t.Context(), account.Attempt{Username: username, Password: password})
	if (err == nil && u.Username != username) || (err != nil && u != account.User{}) {
		h.t.Errorf("%s: the user is %+v beside the error %v", username, u, err)
	}
	return err
}

// expect logs in and checks how that ends; nil means that it succeeds.
func (h *house) expect(username, password string, want error) {
	h.t.Helper()
	if err := h.check(username, password); !errors.Is(err, want) {
		h.t.Errorf("login as %s with %q: %v, want %v", username, password, err, want)
	}
}

// breakTable makes every statement of a kind fail that would change the table.
func (h *house) breakTable(event string) {
	h.t.Helper()
	db, err := sql.Open("sqlite", h.path)
	if err != nil {
		h.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(h.t.Context(), "CREATE TRIGGER broken BEFORE "+event+" BEGIN SELECT RAISE(ABORT, 'broken on purpose'); END"); err != nil {
		h.t.Fatal(err)
	}
}

// CHECKLIST 15: all that can be wrong with what was typed is one error.
func TestCheck(t *testing.T) {
	h := newHouse(t)
	h.add("john.doe", bcrypt.MinCost)
	h.add("disabled", bcrypt.MinCost)
	if err := h.store.DisableUser(t.Context(), "disabled", h.now); err != nil {
		t.Fatal(err)
	}
	h.addHash("broken", "not a hash")
	h.addHash("empty", "")
	longest := strings.Repeat("x", 72)
	hash, err := bcrypt.GenerateFromPassword([]byte(longest), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	h.addHash("long", string(hash))

	h.expect("john.doe", right, nil)
	h.expect("long", longest, nil)
	for _, tt := range []struct{ username, password string }{
		{"john.doe", wrong}, {"john.doe", ""}, {"john.doe", right + " "}, {"john.doe", "SECUREPASSWORD"}, {"John.Doe", right},
		{"john.doe", strings.Repeat("x", 100)}, {"long", longest + "x"}, {"nobody", right}, {"", right}, {"", ""},
		{"disabled", right}, {"disabled", wrong}, {"broken", right}, {"broken", "not a hash"}, {"empty", ""}, {"empty", right},
	} {
		h.expect(tt.username, tt.password, account.ErrIncorrect)
	}
	h.expect("john.doe", right, nil)
}

// CHECKLIST 69: a hash is redone at login when the cost rises.
func TestRehash(t *testing.T) {
	h := newHouse(t)
	h.Hasher = newHasher(t, 5)
	for _, tt := range []struct {
		username, password string
		cost, want         int
	}{
		{"lower", right, 4, 5}, {"same", right, 5, 5}, {"higher", right, 6, 6}, {"wrong", wrong, 4, 4},
	} {
		before := h.add(tt.username, tt.cost)
		_ = h.check(tt.username, tt.password)
		after, err := h.store.UserByID(t.Context(), before.ID)
		if err != nil {
			t.Fatal(err)
		}
		cost, err := bcrypt.Cost([]byte(after.PasswordHash))
		if err != nil || cost != tt.want || (tt.cost == tt.want) != (before.PasswordHash == after.PasswordHash) {
			t.Errorf("%s: a hash of cost %d became one of cost %d, %v", tt.username, tt.cost, cost, err)
		}
	}
	h.expect("lower", right, nil)
	h.expect("lower", wrong, account.ErrIncorrect)
}

// A hash that cannot be redone keeps nobody out, and is said, without the hash.
func TestRehashFails(t *testing.T) {
	h := newHouse(t)
	u := h.add("john.doe", bcrypt.MinCost)
	h.Hasher = newHasher(t, 5)
	var log strings.Builder
	h.Log = slog.New(slog.NewTextHandler(&log, nil))
	h.breakTable("UPDATE OF password_hash ON users")
	h.expect("john.doe", right, nil)
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), u.ID) {
		t.Errorf("the log is %q", log.String())
	}
	if strings.Contains(log.String(), "$2a$") || strings.Contains(log.String(), right) {
		t.Errorf("the log holds a secret: %q", log.String())
	}
}

// A database that fails is never an answer about a password: neither yes nor no.
func TestCheckWithABrokenDatabase(t *testing.T) {
	t.Run("closed", func(t *testing.T) {
		h := newHouse(t)
		h.add("john.doe", bcrypt.MinCost)
		if err := h.store.Close(); err != nil {
			t.Fatal(err)
		}
		h.expect("john.doe", right, store.ErrUnavailable)
		h.expect("nobody", wrong, store.ErrUnavailable)
	})
	t.Run("failures cannot be counted", func(t *testing.T) {
		h := newHouse(t)
		h.add("john.doe", bcrypt.MinCost)
		h.breakTable("INSERT ON failed_logins")
		for _, username := range []string{"john.doe", "nobody"} {
			err := h.check(username, wrong)
			if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, account.ErrIncorrect) {
				t.Errorf("a guess that was not counted got the answer %v", err)
			}
		}
		h.expect("john.doe", right, nil)
	})
	t.Run("failures cannot be forgotten", func(t *testing.T) {
		h := newHouse(t)
		h.add("john.doe", bcrypt.MinCost)
		h.expect("john.doe", wrong, account.ErrIncorrect)
		h.breakTable("DELETE ON failed_logins")
		h.expect("john.doe", right, store.ErrUnavailable)
	})
}

// Whoever waits in line for longer than the client cares for costs nothing more.
func TestCheckGivenUp(t *testing.T) {
	h := newHouse(t)
	h.add("john.doe", bcrypt.MinCost)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Check(ctx, account.Attempt{Username: "john.doe", Password: right}); !errors.Is(err, context.Canceled) || errors.Is(err, account.ErrIncorrect) {
		t.Errorf("got %v", err)
	}
}

// CHECKLIST 16: hanging up before the answer does not make a guess free.
func TestFailureCountsAfterHangingUp(t *testing.T) {
	h := newHouse(t)
	h.add("john.doe", bcrypt.MinCost)
	for range freeFailures {
		ctx, cancel := context.WithCancel(t.Context())
		looks := 0
		h.Now = func() time.Time {
			if looks++; looks == 3 { // twice for the throttle, and once when the password was wrong
				cancel()
			}
			return h.now
		}
		if _, err := h.Check(ctx, account.Attempt{Username: "john.doe", Password: wrong}); !errors.Is(err, account.ErrIncorrect) || ctx.Err() == nil {
			t.Fatalf("got %v, and the context says %v", err, ctx.Err())
		}
	}
	h.Now = func() time.Time { return h.now }
	expectWait(t, h.check("john.doe", right), time.Second)
}

// A password that is changed while a login waits in line is no good any more.
func TestPasswordChangedWhileWaiting(t *testing.T) {
	h := newHouse(t)
	h.add("john.doe", bcrypt.MinCost)
	h.Gate = account.NewGate(1, 1)
	busy, done := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() { _ = h.Gate.Do(t.Context(), func() { close(busy); <-done }) })
	<-busy
	group.Go(func() { h.expect("john.doe", right, account.ErrIncorrect) })
	for h.Gate.Waiting() == 0 {
		time.Sleep(time.Millisecond) // until the login is in line
	}
	hash, err := h.Hasher.Hash(wrong)
	if err == nil {
		err = h.store.SetPassword(t.Context(), "john.doe", hash, h.now)
	}
	if err != nil {
		t.Error(err)
	}
	close(done)
	group.Wait()
	h.expect("john.doe", wrong, nil)
}

func TestCheckOverloaded(t *testing.T) {
	h := newHouse(t)
	h.add("john.doe", bcrypt.MinCost)
	h.Gate = account.NewGate(1, 1)
	const logins = 8
	errs := make([]error, logins)
	busy, done := make(chan struct{}), make(chan struct{})
	var holder, group sync.WaitGroup
	holder.Go(func() { _ = h.Gate.Do(t.Context(), func() { close(busy); <-done }) })
	<-busy
	finished := make(chan struct{}, logins)
	for i := range logins {
		group.Go(func() {
			errs[i] = h.check("john.doe", wrong)
			finished <- struct{}{}
		})
	}
	for range logins - 1 { // all but the one in line
		<-finished
	}
	close(done)
	group.Wait()
	holder.Wait()

	count := map[error]int{}
	for _, err := range errs {
		for _, kind := range []error{account.ErrOverloaded, account.ErrIncorrect} {
			if errors.Is(err, kind) {
				count[kind]++
			}
		}
	}
	if diff := cmp.Diff(map[string]int{"overloaded": logins - 1, "incorrect": 1},
		map[string]int{"overloaded": count[account.ErrOverloaded], "incorrect": count[account.ErrIncorrect]}); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}
