package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// fleetGet returns the status of a GET request; 0 if there is no response in two seconds.
func fleetGet(address, path string) int {
	client := &http.Client{Timeout: 2 * time.Second}
	defer client.CloseIdleConnections()
	resp, err := client.Get("http://" + address + path)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// primary returns the node whose PostgreSQL is the primary and has the lock; nil if no node has.
func (f *databaseFleet) primary(except ...*node) *node {
	for _, n := range f.nodes {
		if !slices.Contains(except, n) && fleetGet(n.address+":8008", "/primary") == http.StatusOK {
			return n
		}
	}
	return nil
}

// primaryAfter returns the primary, which need not be another one than old: on a busy machine, Patroni fails over by
// itself.
func (f *databaseFleet) primaryAfter(old *node) *node {
	if n := f.primary(old); n != nil {
		return n
	}
	return f.primary()
}

// wasPromoted reports whether a node has become the primary again since it was, at that timeline.
func (f *databaseFleet) wasPromoted(n *node, timeline int) bool {
	number, err := f.readTimeline(n)
	return err == nil && number > timeline
}

// timeline returns the number of PostgreSQL's timeline, which is one more after each promotion.
func (f *databaseFleet) timeline(t *testing.T) (number int) {
	t.Helper()
	waitFor(t, "the timeline", func() bool {
		var err error
		number, err = f.readTimeline(f.primary())
		return err == nil
	})
	return number
}

// readTimeline reads the number of the timeline at a primary.
func (f *databaseFleet) readTimeline(primary *node) (int, error) {
	out, err := f.psql(primary, "postgres",
		"SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(out))
}

// members returns the role of each member that runs, as one of them says.
func (f *databaseFleet) members() map[string]string {
	var cluster struct {
		Members []struct{ Name, Role, State string }
	}
	client := &http.Client{Timeout: 2 * time.Second}
	defer client.CloseIdleConnections()
	for _, n := range f.nodes {
		resp, err := client.Get("http://" + n.address + ":8008/cluster")
		if err != nil {
			continue
		}
		err = json.NewDecoder(resp.Body).Decode(&cluster)
		resp.Body.Close()
		if err == nil {
			break
		}
	}
	roles := map[string]string{}
	for _, m := range cluster.Members {
		if m.State == "running" || m.State == "streaming" {
			roles[m.Name] = m.Role
		}
	}
	return roles
}

// awaitWhole waits until all nodes run, and one of the standbys is the synchronous one. It returns the primary.
func (f *databaseFleet) awaitWhole(t *testing.T) (primary *node) {
	t.Helper()
	waitFor(t, "all nodes to replicate", func() bool {
		counts := map[string]int{}
		for _, role := range f.members() {
			counts[role]++
		}
		if counts["leader"] != 1 || counts["sync_standby"] != 1 || counts["replica"] != 1 {
			time.Sleep(200 * time.Millisecond)
			return false
		}
		primary = f.primary()
		return primary != nil && f.streaming(primary) == len(f.nodes)-1
	})
	return primary
}

// streaming returns how many standbys stream from a primary.
func (f *databaseFleet) streaming(primary *node) int {
	out, err := f.psql(primary, "postgres", "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")
	n, errCount := strconv.Atoi(strings.TrimSpace(out))
	if err != nil || errCount != nil {
		return 0
	}
	return n
}

// psqlTimeout ends a psql whose server does not respond: a fault may have frozen it.
const psqlTimeout = 30 * time.Second

// psql runs a statement at a node and returns its output.
func (f *databaseFleet) psql(n *node, database, statement string) (string, error) {
	if n == nil {
		return "", errors.New("there is no such node")
	}
	return f.psqlAt(n.address+":5432", database, statement)
}

// psqlAt is psql for a host and a port.
func (f *databaseFleet) psqlAt(address, database, statement string) (string, error) {
	url := fmt.Sprintf("postgres://postgres:%s@%s/%s?connect_timeout=5", postgresPassword, address, database)
	ctx, cancel := context.WithTimeout(context.Background(), psqlTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(f.bin, "psql"), "-At", "-c", statement, url).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return string(out), err
}

// sql runs a statement at the primary.
func (f *databaseFleet) sql(t *testing.T, database, statement string) {
	t.Helper()
	if _, err := f.psql(f.awaitWhole(t), database, statement); err != nil {
		t.Fatal(err)
	}
}
