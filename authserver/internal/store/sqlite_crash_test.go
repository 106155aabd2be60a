package store_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/store/storetest"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
)

// writerPath is the variable that makes this test binary run writeUntilKilled on a database file.
const writerPath = "HALLPASS_TEST_WRITER"

// writers is how many goroutines write at once until they are killed.
const writers = 64

// writeUntilKilled rotates the refresh tokens of the grants 1 to writers, each as fast as possible. The
// digests count up. After each rotation it prints the number of the grant and the digest.
func writeUntilKilled(path string) {
	ctx := context.Background()
	s, err := store.Open(ctx, "sqlite:"+path, databasetest.Pool)
	if err != nil {
		panic(err)
	}
	for number := range int64(writers) {
		go func() {
			for {
				digest, err := rotateNext(ctx, s, number+1)
				if err != nil {
					panic(err)
				}
				fmt.Printf("%d %d\n", number+1, digest)
			}
		}()
	}
	select {}
}

// rotateNext rotates the refresh token of a grant and returns its new digest.
func rotateNext(ctx context.Context, s *store.Store, number int64) (digest int, err error) {
	g, err := s.GrantByNumber(ctx, number)
	if err != nil {
		return 0, err
	}
	if digest, err = strconv.Atoi(g.Refresh.Current); err != nil {
		return 0, err
	}
	digest++
	next := grant.Refresh{Current: strconv.Itoa(digest), ExpiresAt: g.Refresh.ExpiresAt}
	ok, err := s.RotateRefresh(ctx, g, next, g.CreatedAt, g.ExpiresAt)
	if err == nil && !ok {
		err = fmt.Errorf("grant %d was not rotated", number)
	}
	return digest, err
}

// A process is killed while it commits the writes of many callers together. What it has acknowledged
// is stored, and of every caller at most the one write after that.
func TestSQLiteKilledWriter(t *testing.T) {
	t.Parallel()
	path := storetest.SQLite(t)
	s := mustOpen(t, path)
	startGrants(t, s)
	acknowledged := make([]int, writers+1)
	for _, after := range []int{1, 10, 64, 100, 500, 1000, 2000} {
		runAndKill(t, path, after, acknowledged)
		for number := 1; number <= writers; number++ {
			g, err := s.GrantByNumber(t.Context(), int64(number))
			if err != nil {
				t.Fatal(err)
			}
			stored, err := strconv.Atoi(g.Refresh.Current)
			if err != nil || stored < acknowledged[number] || stored > acknowledged[number]+1 {
				t.Errorf("killed after %d writes: grant %d is at %q, and %d was acknowledged last",
					after, number, g.Refresh.Current, acknowledged[number])
			}
			acknowledged[number] = stored
		}
	}
}

// startGrants starts a grant for each writer, whose digest is 0.
func startGrants(t *testing.T, s *store.Store) {
	t.Helper()
	ctx, now := t.Context(), time.Now()
	u := newUser("john.doe")
	if err := s.CreateUser(ctx, u); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateClient(ctx, client.Client{ID: "app", CreatedAt: now}); err != nil {
		t.Fatal(err)
	}
	for number := 1; number <= writers; number++ {
		got, err := s.StartGrant(ctx, grant.Grant{
			UserID: u.ID, ClientID: "app", CreatedAt: now, ExpiresAt: now.Add(time.Hour),
			Refresh: grant.Refresh{Current: "0", ExpiresAt: now.Add(time.Hour)},
		})
		if err != nil || got != int64(number) {
			t.Fatalf("grant %d, %v, want %d", got, err, number)
		}
	}
}

// runAndKill runs writeUntilKilled in a process of its own, and kills it when it has acknowledged a number
// of writes. It stores the last digest of each grant in acknowledged.
func runAndKill(t *testing.T, path string, after int, acknowledged []int) {
	t.Helper()
	writer := exec.CommandContext(t.Context(), os.Args[0])
	writer.Env = append(os.Environ(), writerPath+"="+path)
	var failure strings.Builder
	writer.Stderr = &failure
	out, err := writer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	seen := 0
	for lines.Scan() {
		var number, digest int
		if _, err := fmt.Sscan(lines.Text(), &number, &digest); err != nil {
			t.Fatalf("%v in %q", err, lines.Text())
		}
		acknowledged[number] = digest
		if seen++; seen == after {
			if err := writer.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = writer.Wait() // it was killed
	if seen < after {
		t.Fatalf("the writer ended after %d writes: %s", seen, failure.String())
	}
}
