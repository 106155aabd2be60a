// Package statement runs the SQL that a request to the authorization server needs,
// and nothing else.
//
// It exists so that a request can be compared with the least that the database asks
// for it: on the database and the rows that the server made, opened as the server
// opens it, with statements that are the server's own and prepared beforehand. The
// texts are copies, because the benchmarks run the built servers and import neither; a
// test holds them to the statements that the server's own tests have recorded.
package statement

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Operation is a kind of request.
type Operation string

// The operations.
const (
	// Refresh finds the grant and rotates its refresh token.
	Refresh Operation = "refresh_token"
	// Service finds a client and the grant that it gives itself.
	Service Operation = "client_credentials"
	// Introspect finds the client that asks, the grant of the token and its user.
	Introspect Operation = "introspect"
)

// Statements of the authorization server's store.
const (
	clientColumns = "id, name, secret_digest, grant_types, scope, first_party, introspects, redirect_uris, created_at"
	userColumns   = "id, username, name, password_hash, password_version, created_at, last_login_at, disabled_at"
	grantColumns  = "number, type, client_id, user_id, session, audience, scope, created_at, expires_at, revoked_at, " +
		"refresh_family, refresh_digest, refresh_trail, refresh_ends_at, refresh_expires_at"

	clientByID    = "SELECT " + clientColumns + " FROM clients WHERE id = $1"
	userByID      = "SELECT " + userColumns + " FROM users WHERE id = $1"
	grantByNumber = "SELECT " + grantColumns + " FROM grants WHERE number = $1"
	serviceGrant  = "SELECT number FROM grants WHERE client_id = $1 AND type = 'client_credentials' AND revoked_at IS NULL"
	rotateRefresh = "UPDATE grants SET refresh_digest = $3, refresh_trail = $4, expires_at = $5, refresh_expires_at = $7 " +
		"WHERE number = $1 AND refresh_digest = $2 AND revoked_at IS NULL AND refresh_expires_at > $6"
)

// Places of columns in a grant's row.
var (
	grantUser     = columnOf("user_id")
	refreshDigest = columnOf("refresh_digest")
	refreshTrail  = columnOf("refresh_trail")
)

func columnOf(name string) int { return slices.Index(strings.Split(grantColumns, ", "), name) }

// refreshIdle is how long a refresh token is good that is not used.
const refreshIdle = 720 * time.Hour

// Plan says what is run, and for how long.
type Plan struct {
	// Database is its URL, as the server takes it.
	Database string
	// Operation is what is done again and again.
	Operation Operation
	// Client is the id of the client that asks.
	Client string
	// Grants are the numbers of grants. Each has a worker of its own, so that none waits
	// for another one's row; there is one worker for each. A refresh changes the grant:
	// its refresh tokens are dead.
	Grants []int64
	// Duration is how long the workers begin a new operation.
	Duration time.Duration
}

// Run follows the plan and returns how many operations were done in a second.
func Run(ctx context.Context, p Plan) (perSecond float64, err error) {
	db, err := open(ctx, p.Database)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.close()) }()
	act, err := db.action(p)
	if err != nil {
		return 0, err
	}
	if _, err := work(ctx, p.Grants, act, 0); err != nil { // opens the connections, and prepares the statements there
		return 0, err
	}
	start := time.Now()
	done, err := work(ctx, p.Grants, act, p.Duration)
	return float64(done) / time.Since(start).Seconds(), err
}

// action is what one operation does with a grant.
type action func(ctx context.Context, grant int64) error

// work does it with every grant, all at once and again and again until the duration
// is over, at least once each, and returns how often it was done.
func work(ctx context.Context, grants []int64, act action, duration time.Duration) (int, error) {
	start := time.Now()
	counts, errs := make([]int, len(grants)), make([]error, len(grants))
	var workers sync.WaitGroup
	for i, grant := range grants {
		workers.Go(func() {
			for more := true; more && errs[i] == nil; more = time.Since(start) < duration {
				errs[i] = act(ctx, grant)
				counts[i]++
			}
		})
	}
	workers.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	return total, errors.Join(errs...)
}

// action returns what the operation of the plan does.
func (db *database) action(p Plan) (action, error) {
	switch p.Operation {
	case Refresh:
		return db.refresh, nil
	case Service:
		return func(ctx context.Context, _ int64) error { return db.service(ctx, p.Client) }, nil
	case Introspect:
		return func(ctx context.Context, grant int64) error { return db.introspect(ctx, p.Client, grant) }, nil
	}
	return nil, fmt.Errorf("there is no operation %q", p.Operation)
}

// refresh gives the grant another digest, and writes everything else back as the
// server would.
func (db *database) refresh(ctx context.Context, grant int64) error {
	found, err := db.grantByNumber.row(ctx, grant)
	if err != nil {
		return err
	}
	now := time.Now()
	until := now.Add(refreshIdle).Unix()
	replaced := found[refreshDigest]
	next := sha256.Sum256(fmt.Append(nil, replaced))
	result, err := db.rotateRefresh.ExecContext(ctx, grant, replaced, base64.RawURLEncoding.EncodeToString(next[:]),
		found[refreshTrail], until, now.Unix(), until)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(fmt.Errorf("rotating the refresh token of grant %d changed %d rows", grant, n), err)
	}
	return nil
}

func (db *database) service(ctx context.Context, client string) error {
	if _, err := db.clientByID.row(ctx, client); err != nil {
		return err
	}
	_, err := db.serviceGrant.row(ctx, client)
	return err
}

func (db *database) introspect(ctx context.Context, client string, grant int64) error {
	if _, err := db.clientByID.row(ctx, client); err != nil {
		return err
	}
	found, err := db.grantByNumber.row(ctx, grant)
	if err != nil {
		return err
	}
	_, err = db.userByID.row(ctx, found[grantUser])
	return err
}
