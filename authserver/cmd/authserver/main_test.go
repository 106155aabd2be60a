package main

import (
	"context"
	"errors"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hallpass-auth/hallpass/shared/keyring"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"authserver": main})
}

// What a script of an operator relies on: messages, streams and exit codes.
func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("HALLPASS_DATABASE_URL", "sqlite:"+env.WorkDir+"/hallpass.db")
			env.Setenv("HALLPASS_BCRYPT_COST", "10")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status":  status,
			"allow":   allow,
			"revoked": revoked,
			"signs":   signs,
		},
	})
}

// status runs a program that must end with an exit code: status CODE PROGRAM ARG...
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

// withDatabase runs work on the database of the script.
func withDatabase(ts *testscript.TestScript, work func(context.Context, *store.Store)) {
	ctx := context.Background()
	s, err := store.Open(ctx, ts.Getenv("HALLPASS_DATABASE_URL"), store.DefaultPool)
	ts.Check(err)
	defer func() { _ = s.Close() }()
	work(ctx, s)
}

// allow does what a user does on the consent page: allow USERNAME CLIENT SCOPE...
func allow(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: allow USERNAME CLIENT SCOPE...")
	}
	withDatabase(ts, func(ctx context.Context, s *store.Store) {
		user, err := s.UserByUsername(ctx, args[0])
		ts.Check(err)
		now := time.Now()
		ts.Check(s.SetConsent(ctx, user.ID, args[1], args[2:], now))
		_, err = s.StartGrant(ctx, grant.Grant{Type: "authorization_code", ClientID: args[1], UserID: user.ID, Scope: args[2:], CreatedAt: now, ExpiresAt: now.Add(time.Hour)})
		ts.Check(err)
	})
}

// revoked checks whether a grant is: revoked NUMBER
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
			ts.Fatalf("grant %d was revoked at %v", number, g.RevokedAt)
		}
	})
}

// signs checks with what a JWK Set signs for an API, or for any: signs FILE ALGORITHM [AUDIENCE]
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
