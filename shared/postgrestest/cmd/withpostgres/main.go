// Command withpostgres starts a PostgreSQL server for tests and runs a command that can
// use it:
//
//	withpostgres COMMAND [ARGUMENT...]
//
// The command finds the server by the environment variable HALLPASS_TEST_POSTGRES; see
// package postgrestest. When the command ends, the server is stopped and its data
// removed, and withpostgres exits with the command's exit code. Where PostgreSQL is not
// installed, the command runs without a server.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/hallpass-auth/hallpass/shared/postgrestest"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: withpostgres COMMAND [ARGUMENT...]")
		os.Exit(2)
	}
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "withpostgres:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// run starts a server, runs the command and returns the command's exit code.
func run(command []string) (code int, err error) {
	// Ctrl-C reaches the command too, and SIGTERM is passed on to it. The server is stopped
	// when the command has ended.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if cmd.Err != nil { // there is no such command
		return 1, cmd.Err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr

	server, err := postgrestest.New()
	if err != nil && !errors.Is(err, postgrestest.ErrNotInstalled) {
		return 1, err
	}
	if err == nil {
		defer func() { err = errors.Join(err, server.Close()) }()
		cmd.Env = append(os.Environ(), postgrestest.Variable+"="+server.Socket())
	}
	var exit *exec.ExitError
	if err := cmd.Run(); errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), nil // -1 if a signal ended it
	} else if err != nil {
		return 1, err
	}
	return 0, nil
}
