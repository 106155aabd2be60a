package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/postgrestest"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/store/storetest"
)

func TestMain(m *testing.M) {
	testscript.Main(withPostgres{m}, map[string]func(){"authserver": func() {
		if os.Getenv(servingVariable) == "" {
			waitForServers = func(context.Context) {}
		}
		main()
	}})
}

// postgres is the server of the scripts that use one.
var postgres = sync.OnceValues(func() (*postgrestest.Server, error) {
	postgresUsed.Store(true)
	return postgrestest.Shared()
})

var postgresUsed atomic.Bool

// withPostgres runs the tests and then stops the PostgreSQL server, if a script has started it.
type withPostgres struct{ *testing.M }

// Run implements testscript.TestingM.
func (m withPostgres) Run() int {
	code := m.M.Run()
	if !postgresUsed.Load() {
		return code
	}
	if server, err := postgres(); err == nil {
		if err := server.Close(); err != nil {
			panic(err)
		}
	}
	return code
}

// condition is [postgres]: whether PostgreSQL is installed, or must be.
func condition(name string) (bool, error) {
	if name != "postgres" {
		return false, fmt.Errorf("unknown condition %q", name)
	}
	_, err := postgres()
	return os.Getenv("CI") == "true" || !errors.Is(err, postgrestest.ErrNotInstalled), nil
}

// newPostgres sets a variable to the URL of an empty database: postgres NAME
func newPostgres(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: postgres NAME")
	}
	server, err := postgres()
	ts.Check(err)
	url, err := server.Database()
	ts.Check(err)
	ts.Setenv(args[0], url)
}

// newRole makes a role that owns nothing and sets a variable to a URL of the same database with it: role NAME URL
func newRole(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: role NAME URL")
	}
	config, err := pgx.ParseConfig(args[1])
	ts.Check(err)
	conn, err := pgx.ConnectConfig(context.Background(), config)
	ts.Check(err)
	name := "server_" + config.Database
	_, err = conn.Exec(context.Background(), "CREATE ROLE "+pgx.Identifier{name}.Sanitize()+" LOGIN")
	ts.Check(errors.Join(err, conn.Close(context.Background())))
	u, err := url.Parse(args[1])
	ts.Check(err)
	query := u.Query()
	query.Del("user")
	u.User, u.RawQuery = url.User(name), query.Encode()
	ts.Setenv(args[0], u.String())
}

// TestCommands runs the scripts in testdata. They check what operators' scripts rely on: messages,
// output streams and exit codes. The scripts run in parallel.
func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Condition:           condition,
		Deadline:            time.Now().Add(time.Hour), // for a server that starts although it should not
		Setup: func(env *testscript.Env) error {
			for name, value := range map[string]string{
				"HALLPASS_DATABASE_URL":        "sqlite:" + env.WorkDir + "/hallpass.db",
				"HALLPASS_BCRYPT_COST":         "10",
				"HALLPASS_PASSWORD_MIN_LENGTH": "8",
				"HALLPASS_LISTEN":              "127.0.0.1:0",
				"HALLPASS_ADMIN_LISTEN":        "127.0.0.1:0",
				"HALLPASS_DRAIN_DELAY":         "0s",
				"GORACE":                       noRaceSleep,

				// A busy machine does not reach these.
				"HALLPASS_DATABASE_CONNECT_TIMEOUT":   "5m",
				"HALLPASS_DATABASE_STATEMENT_TIMEOUT": "5m",
				"HALLPASS_PASSWORD_WAIT":              "5m",
			} {
				env.Setenv(name, value)
			}
			return createDatabase(env.Getenv("HALLPASS_DATABASE_URL"))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": status,
			"mode":   mode,
			"json":   isJSON,
			"sql":    runSQL,

			"postgres": newPostgres,
			"role":     newRole,

			"serve":  serve,
			"ready":  ready,
			"stop":   stop,
			"token":  token,
			"issue":  issue,
			"active": active,
			"admin":  adminAPI,

			"becomes-inactive": becomesInactive,

			"allow":   allow,
			"revoked": revoked,
			"signs":   signs,
		},
	})
}

// createDatabase creates an empty database, as migrate and serve do.
func createDatabase(url string) error {
	return storetest.WriteSQLite(strings.TrimPrefix(url, "sqlite:"))
}

// noRaceSleep is a setting of the race detector, which by default makes every program sleep for a
// second before it exits.
const noRaceSleep = "atexit_sleep_ms=0"

// status runs a program and checks its exit code: status CODE PROGRAM ARG...
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status CODE PROGRAM ARG...")
	}
	code := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		code = strconv.Itoa(exit.ExitCode())
	}
	if code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
}

// mode checks a file's permissions: mode OCTAL FILE
func mode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode OCTAL FILE")
	}
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

// isJSON checks that the last standard output is JSON: json
func isJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: json")
	}
	if out := ts.ReadFile("stdout"); !json.Valid([]byte(out)) {
		ts.Fatalf("not JSON: %s", out)
	}
}

// runSQL runs a statement on a SQLite database: sql FILE STATEMENT
func runSQL(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sql FILE STATEMENT")
	}
	db, err := sql.Open("sqlite", "file:"+ts.MkAbs(args[0])+"?_pragma=busy_timeout(60000)")
	ts.Check(err)
	_, err = db.ExecContext(context.Background(), args[1])
	ts.Check(errors.Join(err, db.Close()))
}

// withDatabase runs work on the database of the script.
func withDatabase(ts *testscript.TestScript, work func(context.Context, *store.Store)) {
	ctx := context.Background()
	s, err := store.Open(ctx, ts.Getenv("HALLPASS_DATABASE_URL"), databasetest.Pool)
	ts.Check(err)
	defer func() { _ = s.Close() }()
	work(ctx, s)
}

// allow stores a consent and starts a grant, as the consent page does: allow USERNAME CLIENT SCOPE...
func allow(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: allow USERNAME CLIENT SCOPE...")
	}
	withDatabase(ts, func(ctx context.Context, s *store.Store) {
		user, err := s.UserByUsername(ctx, args[0])
		ts.Check(err)
		c, err := s.ClientByID(ctx, args[1])
		ts.Check(err)
		now := time.Now()
		ts.Check(s.AddConsent(ctx, user.ID, args[1], "", args[2:], now))
		_, err = s.StartGrant(ctx, grant.Grant{
			Type:      "authorization_code",
			ClientID:  args[1],
			UserID:    user.ID,
			Scope:     args[2:],
			CreatedAt: now,
			ExpiresAt: now.Add(time.Hour),

			SecretDigest: c.SecretDigest,
		})
		ts.Check(err)
	})
}

// revoked checks whether a grant is revoked: [!] revoked NUMBER
func revoked(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: [!] revoked NUMBER")
	}
	number, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	withDatabase(ts, func(ctx context.Context, s *store.Store) {
		g, err := s.GrantByNumber(ctx, number)
		ts.Check(err)
		if g.RevokedAt.IsZero() != neg {
			ts.Fatalf("grant %d: revocation time is %v", number, g.RevokedAt)
		}
	})
}

// signs checks the algorithm with which a JWK Set signs for the default or another API:
// [!] signs FILE ALGORITHM [AUDIENCE]
func signs(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: [!] signs FILE ALGORITHM [AUDIENCE]")
	}
	ring, err := keyring.Parse([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	key, err := ring.Signer(time.Now())
	if len(args) == 3 {
		key, err = ring.SignerFor(args[2], time.Now())
	}
	if neg != errors.Is(err, keyring.ErrNoSigner) || !neg && key.Algorithm != args[1] {
		ts.Fatalf("%s signs with %v (%v)", strings.Join(args, " "), key, err)
	}
}
