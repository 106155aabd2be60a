package database_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/database"
	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
)

// greedy is a server that claims to be PostgreSQL and asks for the password in clear. It refuses
// TLS unless it has a certificate.
type greedy struct {
	t           *testing.T
	certificate *tls.Certificate
	got         atomic.Value // what it was sent as a password
}

// dial connects to the server, whatever the address.
func (g *greedy) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		g.serve(server)
	}()
	return client, nil
}

// serve speaks the start of the protocol (PostgreSQL documentation, section 54.2).
func (g *greedy) serve(c net.Conn) {
	const tlsRequest, askPassword = 80877103, 3
	for {
		body, err := message(c)
		if err != nil || len(body) < 4 {
			return
		}
		if binary.BigEndian.Uint32(body) != tlsRequest {
			break
		}
		if g.certificate == nil {
			_, _ = c.Write([]byte("N"))
			continue
		}
		_, _ = c.Write([]byte("S"))
		c = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{*g.certificate}})
	}
	_, _ = c.Write([]byte{'R', 0, 0, 0, 8, 0, 0, 0, askPassword})
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		return
	}
	if password, err := message(c); err == nil {
		g.got.Store(strings.TrimRight(string(password), "\x00"))
	}
}

// message reads a message that begins with its length.
func message(r io.Reader) ([]byte, error) {
	var length uint32
	if err := binary.Read(r, binary.BigEndian, &length); err != nil {
		return nil, err
	}
	body := make([]byte, min(length, 1<<16)-4)
	_, err := io.ReadFull(r, body)
	return body, err
}

// certificate returns a certificate for db.example and a file with it.
func certificate(t *testing.T) (*tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"db.example"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "root.crt")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// CWE-319: no password crosses a network in clear, and none goes to a server that anybody could be,
// unless the URL says so.
func TestPostgreSQLPasswordInClear(t *testing.T) {
	own, root := certificate(t)
	other, _ := certificate(t)
	const remote = "postgres://hallpass:geheim@db.example/x"
	for _, tt := range []struct {
		url         string
		certificate *tls.Certificate
		environment string // PGSSLMODE
		sent        bool
	}{
		{url: remote},
		{url: remote, environment: "disable"},
		{url: remote, environment: "prefer"},
		{url: remote + "?"},
		{url: remote + "?sslmode="},
		{url: remote + "?sslmode=disable&sslmode="},
		{url: remote + "?sslmode=require"},
		{url: remote + "?sslmode=verify-full"},
		{url: remote + "?application_name=a@b"},
		{url: "postgres://hallpass:ge?sslmode=disable@db.example/x"},
		{url: "postgres://hallpass:geheim@localhost,db.example/x"},
		{url: "postgres://hallpass:geheim@localhost.db.example/x"},
		{url: "postgres://hallpass:geheim@192.0.2.7/x"},
		{url: "postgres://hallpass:geheim@[2001:db8::1]/x"},
		{url: "postgres:///x?host=db.example&user=hallpass&password=geheim"},
		{url: "postgres://hallpass:geheim@one.example,two.example/x?target_session_attrs=read-write"},
		{url: "postgres://hallpass:geheim@one.example,db.example:5433/x?sslmode=require"},
		{url: remote, certificate: own},
		{url: remote + "?sslmode=require", certificate: own},
		{url: remote + "?sslrootcert=" + root, certificate: other},
		{url: remote + "?sslmode=verify-full&sslrootcert=" + root, certificate: other},
		{url: "postgres://hallpass:geheim@other.example/x?sslmode=verify-full&sslrootcert=" + root, certificate: own},

		{url: remote + "?sslmode=disable", sent: true},
		{url: remote + "?sslmode=prefer", sent: true},
		{url: "postgres://hallpass:geheim@one.example,two.example/x?sslmode=prefer", sent: true},
		{url: "postgres://hallpass:geheim@other.example,db.example/x?sslmode=verify-full&sslrootcert=" + root,
			certificate: own, sent: true},
		{url: remote + "?sslmode=allow", sent: true},
		{url: remote + "?sslmode=require&require_auth=password", certificate: own, sent: true},
		{url: remote + "?sslmode=verify-full&sslrootcert=" + root, certificate: own, sent: true},
		{url: remote + "?sslrootcert=" + root, certificate: own, sent: true},
		{url: "postgres://hallpass:geheim@localhost/x", sent: true},
		{url: "postgres://hallpass:geheim@127.0.0.2/x", sent: true},
		{url: "postgres://hallpass:geheim@[::1]/x", sent: true},
		{url: "postgres://hallpass:geheim@%2Fvar%2Frun%2Fpostgresql/x", sent: true},
	} {
		t.Setenv("PGSSLMODE", tt.environment)
		server := &greedy{t: t, certificate: tt.certificate}
		s, err := database.OpenDialing(t.Context(), tt.url, databasetest.Pool, server.dial)
		if err == nil {
			t.Fatal(errors.Join(errors.New("the database opened"), s.Close()))
		}
		if got := server.got.Load(); (got != nil) != tt.sent {
			t.Errorf("%s, PGSSLMODE=%s: the server got the password %v, want sent: %v; error: %v",
				tt.url, tt.environment, got, tt.sent, err)
		}
	}
}

// Each connection has the password and the authority that the files contain then: both are renewed while servers run.
func TestPostgreSQLRenewedCredentials(t *testing.T) {
	t.Parallel()
	own, root := certificate(t)
	password := filepath.Join(t.TempDir(), "password")
	must(t, os.WriteFile(password, []byte("old\n"), 0o600))
	server := &greedy{t: t, certificate: own}
	limits := databasetest.Pool
	var err error
	limits.Password, err = database.OpenPasswordFile(password)
	must(t, err)
	conns, err := database.ConnsDialing("postgres://hallpass@db.example/x?sslmode=verify-full&sslrootcert="+root, limits,
		server.dial)
	must(t, err)
	defer conns.Close()
	connect := func(what string, want any) {
		t.Helper()
		server.got = atomic.Value{}
		if err := conns.PingContext(t.Context()); err == nil {
			t.Fatal("the greedy server let us in")
		}
		if got := server.got.Load(); got != want {
			t.Errorf("%s: the server got the password %v, want %v", what, got, want)
		}
	}
	connect("at first", "old")
	renewed, newRoot := certificate(t)
	server.certificate = renewed
	connect("with another authority", nil)
	must(t, os.Rename(newRoot, root))
	must(t, os.WriteFile(password, []byte("new\n"), 0o600))
	connect("after both were renewed", "new")
	must(t, os.Remove(password))
	connect("without the file", nil)
	must(t, os.WriteFile(password, []byte("new\n"), 0o600))
	must(t, os.Remove(root))
	connect("without the authority", nil)
	if err := conns.PingContext(t.Context()); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), root) ||
		strings.Contains(err.Error(), "postgres:") {
		t.Errorf("the error is %v", err)
	}
}

// If a file that the URL names no longer asks for a verified certificate, the password is not sent in clear either.
func TestPostgreSQLNoLongerVerified(t *testing.T) {
	t.Parallel()
	own, root := certificate(t)
	services := filepath.Join(t.TempDir(), "services")
	write := func(text string) { must(t, os.WriteFile(services, []byte("[users]\n"+text+"\n"), 0o600)) }
	write("sslmode=verify-full\nsslrootcert=" + root)
	server := &greedy{t: t, certificate: own}
	conns, err := database.ConnsDialing("postgres://hallpass:geheim@db.example/x?service=users&servicefile="+services,
		databasetest.Pool, server.dial)
	must(t, err)
	defer conns.Close()
	_ = conns.PingContext(t.Context())
	if got := server.got.Load(); got != "geheim" {
		t.Errorf("the verified server got %v", got)
	}
	write("sslmode=require")
	server.got = atomic.Value{}
	_ = conns.PingContext(t.Context())
	if got := server.got.Load(); got != nil {
		t.Errorf("the server that is not verified got %v", got)
	}
}

// A password that came from a pipe is kept: it cannot be read again. A pipe that nobody writes to does not block.
func TestPasswordFromPipe(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pipe")
	must(t, syscall.Mkfifo(path, 0o600))
	if _, err := database.OpenPasswordFile(path); err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("the error is %v", err)
	}
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	_, err = w.WriteString("geheim\n")
	must(t, err)
	must(t, w.Close())
	password, err := database.OpenPasswordFile(fmt.Sprintf("/dev/fd/%d", r.Fd()))
	must(t, err)
	for range 2 {
		if got, err := password(); err != nil || got != "geheim" {
			t.Errorf("the password is %q, %v", got, err)
		}
	}
}

// The error says what to do.
func TestPostgreSQLWithoutTLS(t *testing.T) {
	t.Parallel()
	own, _ := certificate(t)
	for want, certificate := range map[string]*tls.Certificate{"sslmode=disable": nil, "sslmode=verify-full": own} {
		server := &greedy{t: t, certificate: certificate}
		_, err := database.OpenDialing(t.Context(), "postgres://hallpass:geheim@db.example/x", databasetest.Pool, server.dial)
		if !errors.Is(err, database.ErrUnreachable) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %s", err, want)
		}
	}
}
