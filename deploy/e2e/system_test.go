package e2e_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// system is both servers, with their addresses, a database and keys.
type system struct {
	authURL, apiURL            string // issuer and audience
	authAddress, authAdmin     string
	apiAddress, apiAdmin       string
	keysFile, database         string
	authserver, resourceserver *process
	signer                     jose.JSONWebKey // of the client signer, in the tests of other libraries
}

// newSystem makes keys and picks addresses. It does not start the servers.
func newSystem(t *testing.T) *system {
	t.Helper()
	dir := t.TempDir()
	a := freeAddresses(t, 4)
	s := &system{
		authURL: "http://" + a[0], authAddress: a[0], authAdmin: a[1],
		apiURL: "http://" + a[2], apiAddress: a[2], apiAdmin: a[3],
		keysFile: filepath.Join(dir, "keys.json"),
		database: "sqlite:" + filepath.Join(dir, "hallpass.db"),
	}
	mustCommand(t, "", "authserver", "key", "init", s.keysFile)
	return s
}

// startDemo starts both servers with the demo users and waits until they are ready. At the
// end of the test they are stopped and must exit with 0.
func startDemo(t *testing.T) *system {
	t.Helper()
	s := newSystem(t)
	s.startAuthserver(t, "--demo")
	s.startResourceserver(t)
	t.Cleanup(func() {
		for _, p := range []*process{s.authserver, s.resourceserver} {
			if p.running() {
				p.stop(t)
			}
			checkNoSecrets(t, p)
		}
	})
	return s
}

// checkNoSecrets checks that a server's log has neither a password nor an access token, all of
// which begin with eyJ.
func checkNoSecrets(t *testing.T, p *process) {
	t.Helper()
	for _, secret := range []string{demoPassword, "anothersecurepass", "eyJ"} {
		if strings.Contains(p.output.String(), secret) {
			t.Errorf("the log of %s has the secret %q", p.name, secret)
		}
	}
}

// startAuthserver starts the authorization server with further flags. By default, passwords
// have the lowest cost that the server allows.
func (s *system) startAuthserver(t *testing.T, flags ...string) {
	t.Helper()
	args := []string{
		"serve", "--database-url", s.database, "--keys-file", s.keysFile,
		"--issuer", s.authURL, "--audience", s.apiURL,
		"--listen", s.authAddress, "--admin-listen", s.authAdmin,
		"--allowed-origins", s.apiURL,
	}
	if !strings.Contains(strings.Join(flags, " "), "--bcrypt-cost") {
		args = append(args, "--bcrypt-cost", "10")
	}
	if !strings.Contains(strings.Join(flags, " "), "--drain-delay") {
		args = append(args, "--drain-delay", "0s")
	}
	s.authserver = serve(t, "authserver", s.authAdmin, append(args, flags...)...)
}

// apiKeysFile returns the file of the API's keys, or the server's if the API has none, as with the keys of an earlier
// version.
func (s *system) apiKeysFile() string {
	own := filepath.Join(filepath.Dir(s.keysFile), "api-"+filepath.Base(s.keysFile))
	if _, err := os.Stat(own); err != nil {
		return s.keysFile
	}
	return own
}

// useKeysOfEarlierVersion replaces the keys by one file for both servers, with a shared secret alone.
func (s *system) useKeysOfEarlierVersion(t *testing.T) {
	t.Helper()
	own := s.apiKeysFile()
	if err := os.Rename(own, s.keysFile); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(s.keysFile)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.ReplaceAll(text, []byte(`"hallpass_export": true,`), nil)
	if err := os.WriteFile(s.keysFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// startResourceserver starts the API with further flags.
func (s *system) startResourceserver(t *testing.T, flags ...string) {
	t.Helper()
	args := []string{
		"serve", "--keys-file", s.apiKeysFile(), "--issuer", s.authURL, "--audience", s.apiURL,
		"--listen", s.apiAddress, "--admin-listen", s.apiAdmin,
	}
	if !strings.Contains(strings.Join(flags, " "), "--drain-delay") {
		args = append(args, "--drain-delay", "0s")
	}
	s.resourceserver = serve(t, "resourceserver", s.apiAdmin, append(args, flags...)...)
}

// serve starts a server and waits until it is ready.
func serve(t *testing.T, name, adminAddress string, args ...string) *process {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, name), args...)
	cmd.Env = cleanEnv()
	p := launch(t, name, cmd)
	waitFor(t, name+" to be ready", func() bool { return isReady(adminAddress) }, p)
	return p
}

// restart stops the authorization server and starts it again on the same database.
func (s *system) restart(t *testing.T, flags ...string) {
	t.Helper()
	s.authserver.stop(t)
	s.startAuthserver(t, flags...)
}

// admin runs a command of the authorization server on the system's database and
// returns what it printed.
func (s *system) admin(t *testing.T, input string, args ...string) string {
	t.Helper()
	return mustCommand(t, input, "authserver", append(args, "--database-url", s.database)...)
}
