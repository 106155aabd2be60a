package postgrestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// ErrNoBouncer means that PgBouncer is not on this machine.
var ErrNoBouncer = errors.New("PgBouncer is not installed")

// bouncerPath is where Debian's package puts PgBouncer, which may not be in the path of a user.
const bouncerPath = "/usr/sbin/pgbouncer"

// bouncerSessions is how many sessions PgBouncer has with each database: fewer than its clients have connections.
const bouncerSessions = 3

// Bouncer is a PgBouncer in transaction mode in front of a server: each transaction gets any of a few sessions.
type Bouncer struct {
	dir     string
	process *exec.Cmd
}

// Bouncer starts a PgBouncer in front of the server. It returns ErrNoBouncer if that is not installed. Call Close at
// the end.
func (s *Server) Bouncer() (*Bouncer, error) {
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = bouncerPath
	}
	if _, err := os.Stat(program); err != nil {
		return nil, ErrNoBouncer
	}
	dir, err := os.MkdirTemp("", "pgb") // short: a socket's path has at most 107 bytes
	if err != nil {
		return nil, err
	}
	b := &Bouncer{dir: dir}
	if err := b.start(program, s); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return b, nil
}

// start starts the program and waits until it accepts connections.
func (b *Bouncer) start(program string, s *Server) error {
	config := filepath.Join(b.dir, "pgbouncer.ini")
	text := fmt.Sprintf(`[databases]
* = host=%s user=hallpass
[pgbouncer]
unix_socket_dir = %s
listen_port = 5432
auth_type = any
pool_mode = transaction
default_pool_size = %d
server_round_robin = 1
max_client_conn = 400
ignore_startup_parameters = statement_timeout
`, s.dir, b.dir, bouncerSessions)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return err
	}
	uid, gid, err := account()
	if err != nil {
		return err
	}
	if err := os.Chown(b.dir, uid, gid); err != nil {
		return err
	}
	attributes, err := s.attributes()
	if err != nil {
		return err
	}
	dieWithParent(attributes)
	var log bytes.Buffer
	b.process = exec.Command(program, config)
	b.process.SysProcAttr, b.process.Dir = attributes, b.dir
	b.process.Stdout, b.process.Stderr = &log, &log
	if err := b.process.Start(); err != nil {
		return err
	}
	if err := b.wait(); err != nil {
		return errors.Join(err, b.stop(), errors.New(log.String()))
	}
	return nil
}

// wait waits until the program accepts connections.
func (b *Bouncer) wait() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		c, err := net.Dial("unix", filepath.Join(b.dir, ".s.PGSQL.5432"))
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("PgBouncer accepts no connections after %v: %w", startTimeout, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// URL returns the URL of a database of the server through PgBouncer, with a way to run statements that needs no
// prepared ones.
func (b *Bouncer) URL(database string) (string, error) {
	u, err := url.Parse(database)
	if err != nil {
		return "", err
	}
	query := u.Query()
	query.Set("host", b.dir)
	query.Set("default_query_exec_mode", "exec")
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// Close stops PgBouncer. The server goes on.
func (b *Bouncer) Close() error { return errors.Join(b.stop(), os.RemoveAll(b.dir)) }

func (b *Bouncer) stop() error {
	err := b.process.Process.Signal(syscall.SIGTERM)
	_ = b.process.Wait() // the exit status does not matter: it was told to stop
	return err
}
