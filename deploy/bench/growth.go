package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/postgrestest"
)

// The sizes that are compared: users, and grants for each of them.
const (
	fewUsers      = 1000
	grantsPerUser = 10
)

// manyUsers is the larger number of users. The flag -users changes it.
var manyUsers int64 = 1_000_000

// growthGoal is how much more anything may cost with the larger database.
var growthGoal = atMost(1.3)

// grown is an authorization server with a filled database.
type grown struct {
	*server
	population
	database string
	secret   string // of the service client
	client   *http.Client
	access   []string // tokens that refreshes have returned
	started  time.Duration
}

// measureGrowthOnSQLite compares what each request and command costs with few and with many users.
func measureGrowthOnSQLite(ctx context.Context, b *bench) ([]row, error) {
	return b.growthOf(ctx, "SQLite", b.sqlite("few"), b.sqlite("many"))
}

// measureGrowth is measureGrowthOnSQLite for PostgreSQL.
func measureGrowth(ctx context.Context, b *bench) (rows []row, err error) {
	postgres, err := postgrestest.NewDurable()
	if errors.Is(err, postgrestest.ErrNotInstalled) {
		return []row{{what: "**PostgreSQL is not installed**"}}, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = postgres.Close() }()
	for _, setting := range []string{"shared_buffers = '2GB'", "max_wal_size = '8GB'", "checkpoint_timeout = '15min'"} {
		if err := postgres.Run("psql", "-q", "-h", postgres.Socket(), "-U", "hallpass", "-d", "postgres", "-c",
			"ALTER SYSTEM SET "+setting); err != nil {
			return rows, err
		}
	}
	if err := errors.Join(postgres.Stop(), postgres.Start()); err != nil {
		return rows, err
	}
	small, errSmall := postgres.Database()
	large, errLarge := postgres.Database()
	if err := errors.Join(errSmall, errLarge); err != nil {
		return rows, err
	}
	return b.growthOf(ctx, "PostgreSQL", small, large)
}

// growthOf returns the rows of an engine.
func (b *bench) growthOf(ctx context.Context, engine, small, large string) (rows []row, err error) {
	var two [2]*grown
	for i, database := range []string{large, small} {
		users := []int64{manyUsers, fewUsers}[i]
		if two[i], err = b.grow(ctx, database, users); err != nil {
			return nil, fmt.Errorf("%s with %d users: %w", engine, users, err)
		}
		defer two[i].stop()
	}
	rows = append(rows, row{what: fmt.Sprintf("**%s, %d users and %d grants** (floor: %d users and %d grants)",
		engine, two[0].users, two[0].grants, two[1].users, two[1].grants)})
	for _, o := range growthOperations {
		more, err := o.compare(ctx, b, two)
		if err != nil {
			return rows, fmt.Errorf("%s, %s: %w", engine, o.name, err)
		}
		rows = append(rows, more)
	}
	more, err := b.growthSizes(ctx, two)
	return append(rows, more...), err
}

// grow fills a database and starts a server on it.
func (b *bench) grow(ctx context.Context, database string, users int64) (*grown, error) {
	if _, err := b.run(ctx, authserver, "migrate", "--database-url", database); err != nil {
		return nil, err
	}
	_, err := b.run(ctx, authserver, "client", "add", growthClient, "--public", "--first-party", "--scope", "profile",
		"--grant", "authorization_code", "--grant", "refresh_token", "--redirect-uri", growthRedirect,
		"--database-url", database)
	if err != nil {
		return nil, err
	}
	secret, err := b.addService(ctx, database)
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	p, err := fill(ctx, database, users, grantsPerUser)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "filled a database with %d grants in %.0f s\n", p.grants, time.Since(begin).Seconds())
	begin = time.Now()
	s, err := b.serveAuth(ctx, share{}, database, lowCost)
	if err != nil {
		return nil, err
	}
	client := &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: few},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &grown{
		server: s, population: p, database: database, secret: secret, client: client, started: time.Since(begin),
	}, nil
}

// growthSizes returns the rows of what is measured once: starts, memory, lists and disk.
func (b *bench) growthSizes(ctx context.Context, two [2]*grown) (rows []row, err error) {
	var sizes [2]map[string]float64
	for i, g := range two {
		if sizes[i], err = b.sizes(ctx, g); err != nil {
			return nil, err
		}
	}
	for _, o := range []struct {
		name, format string
		goal         goal
	}{
		{"start of the authorization server", "%.0f ms", goal{}},
		{"first status list after a start", "%.0f ms", under(1000, "ms")},
		{"all status lists", "%.1f KB", under(250, "KB")},
		{"resident memory of the authorization server", "%.0f MiB", goal{}},
		{"resident memory of an API with all lists", "%.0f MiB", goal{}},
		{"bytes a grant, with indexes", "%.0f", goal{}},
	} {
		rows = append(rows, compare(o.name, o.format, []float64{sizes[0][o.name]}, []float64{sizes[1][o.name]}, o.goal))
	}
	return rows, nil
}

// sizes returns the figures of a server by the names of their rows.
func (b *bench) sizes(ctx context.Context, g *grown) (map[string]float64, error) {
	fresh, err := b.serveAuth(ctx, share{}, g.database, lowCost)
	if err != nil {
		return nil, err
	}
	defer fresh.stop()
	begin := time.Now()
	if _, err := g.fetchList(ctx, fresh.address, 0); err != nil {
		return nil, err
	}
	first := time.Since(begin)
	lists, err := g.fetchLists(ctx, fresh.address)
	if err != nil {
		return nil, err
	}
	api, err := b.serveAPI(ctx, share{}, g.server)
	if err != nil {
		return nil, err
	}
	defer api.stop()
	if err := g.refreshOnce(ctx); err != nil {
		return nil, err
	}
	if _, err := get("/users/me", g.access[len(g.access)-1]).send(ctx, api, http.StatusOK); err != nil {
		return nil, err
	}
	_, memory, err := g.usage()
	_, apiMemory, errAPI := api.usage()
	disk, errDisk := g.grantBytes(ctx)
	return map[string]float64{
		"start of the authorization server":           float64(g.started.Milliseconds()),
		"first status list after a start":             float64(first.Microseconds()) / 1000,
		"all status lists":                            float64(lists) / 1000,
		"resident memory of the authorization server": memory,
		"resident memory of an API with all lists":    apiMemory,
		"bytes a grant, with indexes":                 disk,
	}, errors.Join(err, errAPI, errDisk)
}

// grantBytes returns the disk space of a grant with its entries in indexes.
func (g *grown) grantBytes(ctx context.Context) (float64, error) {
	query := "SELECT pg_total_relation_size('grants')"
	if path, ok := strings.CutPrefix(g.database, "sqlite:"); ok {
		info, err := os.Stat(filepath.Clean(path))
		if err != nil {
			return 0, err
		}
		const bytesOfUser = 500 // measured: a database with users only
		return (float64(info.Size()) - bytesOfUser*float64(g.users)) / float64(g.grants), nil
	}
	size, err := queryNumber(ctx, g.database, query)
	return float64(size) / float64(g.grants), err
}
