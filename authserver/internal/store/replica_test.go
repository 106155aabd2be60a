package store_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/postgrestest"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// replicated is a store with a real streaming replica.
type replicated struct {
	*store.Store
	t       *testing.T
	primary *postgrestest.Server
	standby *postgrestest.Server
	url     string // of the standby's database
	log     *lockedBuffer
}

// lockedBuffer is a buffer for a log.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// openReplicated starts a primary and its standby, and waits until the standby answers reads. A commit does not wait
// for the standby.
func openReplicated(t *testing.T) *replicated {
	t.Helper()
	primary, err := postgrestest.New()
	if errors.Is(err, postgrestest.ErrNotInstalled) {
		_ = postgrestest.Database(t, func() (*postgrestest.Server, error) { return nil, err }) // skips or fails
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = primary.Close() })
	dsn, err := primary.Database()
	if err != nil {
		t.Fatal(err)
	}
	standby, err := primary.Standby()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = standby.Close() })
	s := openPostgres(t, dsn+"&synchronous_commit=local")
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := &replicated{
		Store: s, t: t, primary: primary, standby: standby, url: urlOn(t, dsn, standby), log: &lockedBuffer{},
	}
	log := slog.New(slog.NewTextHandler(r.log, nil))
	r.must(s.UseReplica(r.url, databasetest.Pool))
	go s.FollowReplica(t.Context(), log)
	return r
}

// urlOn returns the URL of a database on another server.
func urlOn(t *testing.T, dsn string, server *postgrestest.Server) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set("host", server.Socket())
	u.RawQuery = query.Encode()
	return u.String()
}

// answers reads a client until the replica has answered one more read, or the primary has.
func (r *replicated) answers(id string, byReplica bool) {
	r.t.Helper()
	waitUntil(r.t, "a read by the other server", func() bool {
		replica, primary := r.ReplicaReads()
		_, _ = r.RecentClient(r.t.Context(), id)
		moreReplica, morePrimary := r.ReplicaReads()
		if byReplica {
			return moreReplica > replica
		}
		return morePrimary > primary
	})
}

// logsLast waits until the last line of the log has a text. On a busy machine, the replica may lag for a moment at any
// time, and the log says so then.
func (r *replicated) logsLast(text string) {
	r.t.Helper()
	waitUntil(r.t, "the log: "+text, func() bool {
		lines := strings.Split(strings.TrimSpace(r.log.String()), "\n")
		return strings.Contains(lines[len(lines)-1], text)
	})
}

// must fails the test now if err is not nil.
func (r *replicated) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// replay pauses the replay of the standby, which then receives everything and shows nothing of it, or lets it go on.
func (r *replicated) replay(call string) {
	r.t.Helper()
	r.must(r.standby.Run("psql", "-q", "-h", r.standby.Socket(), "-U", "hallpass", "-d", "postgres", "-c",
		"SELECT pg_wal_replay_"+call+"()"))
}

// A replica answers reads of clients, APIs and revocations while it is as far as the primary. One that lags does not:
// a deleted client is gone and a revoked grant is revoked while it knows neither. A client that is new is found at
// once.
func TestReplica(t *testing.T) {
	t.Parallel()
	r, now := openReplicated(t), time.Now()
	ctx := t.Context()
	app := client.Client{
		ID: "app", Name: "App", Grants: []oauth.GrantType{oauth.GrantPassword}, Scope: oauth.Scope{"profile"},
		SecretDigest: "digest", CreatedAt: now,
	}
	user, err := account.New("john.doe", "John Doe", "hash", now)
	r.must(err)
	r.must(r.CreateUser(ctx, user))
	r.must(r.CreateClient(ctx, app))
	if _, err := r.RecentClient(ctx, "app"); err != nil {
		t.Errorf("a client that is new: %v", err)
	}
	number, err := r.StartGrant(ctx, grant.Grant{
		Type: oauth.GrantPassword, ClientID: "app", UserID: user.ID, CreatedAt: now, ExpiresAt: now.Add(time.Hour),
		SecretDigest: "digest",
	})
	r.must(err)
	r.answers("app", true)

	r.replay("pause")
	r.must(r.DeleteClient(ctx, "app", now))
	waitUntil(t, "the deletion of the client", func() bool {
		_, err := r.RecentClient(ctx, "app")
		return errors.Is(err, record.ErrNotFound)
	})
	waitUntil(t, "the revocation of the grant", func() bool {
		numbers, _, err := r.RevokedAfter(ctx, now.Add(-time.Minute), 0, 10)
		r.must(err)
		return len(numbers) == 1 && numbers[0] == number
	})
	r.answers("app", false)
	r.replay("resume")
	r.must(r.CreateClient(ctx, app))
	r.answers("app", true)

	r.must(r.standby.Stop())
	r.answers("app", false)
	if _, err := r.RecentClient(ctx, "app"); err != nil {
		t.Errorf("a client while the replica is down: %v", err)
	}
	r.must(r.standby.Start())
	r.answers("app", true)

	r.replay("pause")
	r.must(r.DeleteClient(ctx, "app", now))
	r.logsLast("the database replica is not used")
	r.must(r.standby.Promote()) // it is a database of its own from now on
	r.logsLast("it can be written")
	waitUntil(t, "the deletion of the client", func() bool {
		_, err := r.RecentClient(ctx, "app")
		return errors.Is(err, record.ErrNotFound)
	})
}

// A replica of another server, or another database of it, answers nothing: a position says nothing about it.
func TestReplicaOfAnotherDatabase(t *testing.T) {
	t.Parallel()
	r := openReplicated(t)
	dsn, err := r.primary.Database()
	r.must(err)
	s := openPostgres(t, dsn)
	_, err = s.Migrate(t.Context())
	r.must(err)
	other := freshPostgres(t) // of the server that all tests share
	_, err = other.Migrate(t.Context())
	r.must(err)
	for _, s := range []*store.Store{s, other} {
		log := &lockedBuffer{}
		r.must(s.UseReplica(r.url, databasetest.Pool))
		go s.FollowReplica(t.Context(), slog.New(slog.NewTextHandler(log, nil)))
		waitUntil(t, "the log", func() bool { return strings.Contains(log.String(), "of another") })
	}
}
