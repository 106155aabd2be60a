package store_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/store/storetest"
)

// batch is how many writes the tests queue. They fit into one commit.
const batch = 64

// together makes calls, each of which writes once, and lets them run when all of them are queued. It
// returns their errors. Before they run, it calls meanwhile.
func together(t *testing.T, s *store.Store, call func(i int) error, meanwhile func()) []error {
	t.Helper()
	begun, release := make(chan struct{}), make(chan struct{})
	var calls sync.WaitGroup
	calls.Go(func() {
		err := s.Write(context.WithoutCancel(t.Context()), func() error {
			close(begun)
			<-release
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-begun
	errs := make([]error, batch)
	for i := range batch {
		calls.Go(func() { errs[i] = call(i) })
	}
	for end := time.Now().Add(time.Minute); s.Queued() < batch; runtime.Gosched() {
		if time.Now().After(end) {
			queued := s.Queued()
			close(release) // Close waits for the write
			t.Fatalf("%d of %d writes are queued", queued, batch)
		}
	}
	meanwhile()
	close(release)
	calls.Wait()
	return errs
}

// commits returns how many transactions are in the write-ahead log of a database. The header of the
// last frame of each holds the size of the database (https://sqlite.org/fileformat2.html#walformat).
func commits(t *testing.T, path string) (n int) {
	t.Helper()
	wal, err := os.ReadFile(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	const header, frameHeader = 32, 24
	salt, frameSize := wal[16:24], frameHeader+int(binary.BigEndian.Uint32(wal[8:12]))
	for frame := wal[header:]; len(frame) >= frameSize; frame = frame[frameSize:] {
		if bytes.Equal(frame[8:16], salt) && binary.BigEndian.Uint32(frame[4:8]) > 0 {
			n++
		}
	}
	return n
}

// newUser returns a user that is not in the database yet.
func newUser(name string) account.User {
	return account.User{ID: account.IDPrefix + name, Username: name, PasswordHash: "hash", CreatedAt: time.Unix(1, 0)}
}

func TestSQLiteWritesShareACommit(t *testing.T) {
	t.Parallel()
	path := storetest.SQLite(t)
	s := mustOpen(t, path)
	addUser(t, s, "john.doe")
	before := commits(t, path)
	for _, err := range together(t, s, func(i int) error {
		_, err := s.ReserveTry(t.Context(), account.NewFailureKey(strconv.Itoa(i), "192.0.2.1"), time.Now())
		return err
	}, func() {}) {
		if err != nil {
			t.Error(err)
		}
	}
	if n := commits(t, path) - before; n != 1 {
		t.Errorf("%d writes took %d commits, want 1", batch, n)
	}
}

// Of writes that are committed together, those that fail leave nothing, and the others everything.
func TestSQLiteFailedWritesInABatch(t *testing.T) {
	t.Parallel()
	path := storetest.SQLite(t)
	s := mustOpen(t, path)
	name := func(i int) string { return "user" + strconv.Itoa(i) }
	for i := range batch {
		if err := s.CreateUser(t.Context(), newUser(name(i))); err != nil {
			t.Fatal(err)
		}
	}
	before, want := commits(t, path), make([]error, batch)
	errs := together(t, s, func(i int) error {
		switch i % 4 {
		case 0: // has written the time of the login when it fails
			want[i] = grant.ErrClientChanged
			_, err := s.StartGrant(t.Context(), grant.Grant{
				UserID: account.IDPrefix + name(i), ClientID: "nothing", CreatedAt: time.Now(),
			})
			return err
		case 1:
			want[i] = record.ErrNotFound
			return s.EnableUser(t.Context(), "nobody", time.Now())
		}
		return s.DisableUser(t.Context(), name(i), time.Now())
	}, func() {})
	if n := commits(t, path) - before; n != 1 {
		t.Errorf("the writes took %d commits, want 1", n)
	}
	for i, err := range errs {
		if !errors.Is(err, want[i]) {
			t.Errorf("write %d: %v, want %v", i, err, want[i])
		}
		u, err := s.UserByUsername(t.Context(), name(i))
		if err != nil || u.Active() != (want[i] != nil) || !u.LastLoginAt.IsZero() {
			t.Errorf("write %d left %+v, %v", i, u, err)
		}
	}
}

// A write whose context ends before its turn does nothing.
func TestSQLiteCanceledWritesInABatch(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, storetest.SQLite(t))
	ctx, cancel := context.WithCancel(t.Context())
	create := func(i int) error {
		ctx := ctx
		if i%2 == 0 {
			ctx = t.Context()
		}
		_, err := s.ReserveTry(ctx, account.NewFailureKey(strconv.Itoa(i), "192.0.2.1"), time.Unix(1, 0))
		return err
	}
	for i, err := range together(t, s, create, cancel) {
		f, readErr := s.LoginFailures(t.Context(), account.NewFailureKey(strconv.Itoa(i), "192.0.2.1"), time.Unix(1, 0))
		if readErr != nil {
			t.Fatal(readErr)
		}
		if i%2 == 0 && (err != nil || f.AtAddress.Count != 1) {
			t.Errorf("write %d: %v and %d failures, want 1", i, err, f.AtAddress.Count)
		}
		if i%2 == 1 && (!errors.Is(err, context.Canceled) || f.AtAddress.Count != 0) {
			t.Errorf("canceled write %d: %v and %d failures, want none", i, err, f.AtAddress.Count)
		}
	}
}

// A write that panics does so in the goroutine of its caller, where net/http recovers. The others are stored.
func TestSQLitePanicInABatch(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, storetest.SQLite(t))
	errs := together(t, s, func(i int) (err error) {
		defer func() {
			if reason := recover(); reason != nil {
				err = fmt.Errorf("panic: %v", reason)
			}
		}()
		if i == 1 {
			return s.Write(t.Context(), func() error { panic("test") })
		}
		return s.CreateClient(t.Context(), client.Client{ID: strconv.Itoa(i), CreatedAt: time.Unix(1, 0)})
	}, func() {})
	for i, err := range errs {
		if i == 1 {
			if err == nil || !strings.HasPrefix(err.Error(), "panic: test") {
				t.Errorf("the caller recovered %v, want the panic of its write", err)
			}
			continue
		}
		if _, readErr := s.ClientByID(t.Context(), strconv.Itoa(i)); err != nil || readErr != nil {
			t.Errorf("write %d: %v, %v", i, err, readErr)
		}
	}
}

// Close waits for the writes that are in the queue.
func TestSQLiteCloseWaitsForWrites(t *testing.T) {
	t.Parallel()
	path := storetest.SQLite(t)
	s := mustOpen(t, path)
	closed := make(chan error, 1)
	errs := together(t, s, func(i int) error {
		return s.CreateClient(t.Context(), client.Client{ID: strconv.Itoa(i), CreatedAt: time.Unix(1, 0)})
	}, func() {
		go func() { closed <- s.Close() }()
	})
	for _, err := range append(errs, <-closed) {
		if err != nil {
			t.Error(err)
		}
	}
	clients, err := mustOpen(t, path).Clients(t.Context(), record.Page{})
	if err != nil || len(clients) != batch {
		t.Errorf("%d clients are stored, want %d, %v", len(clients), batch, err)
	}
}
