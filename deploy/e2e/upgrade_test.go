package e2e_test

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// previousVersion is a commit before the default API had a row in the database: its schema
// has version 8.
const previousVersion = "451c36d6a776efdaa5a610d5cb872ebec299c001"

// Servers of the previous version and of this one run on one database while an upgrade is
// rolled out. Each accepts what the other issues, and a revocation by either reaches the API.
func TestUpgradeBesideThePreviousVersion(t *testing.T) {
	longTest(t)
	previous := buildPrevious(t)
	t.Run("SQLite", func(t *testing.T) { testUpgrade(t, previous, newSystem(t)) })
	t.Run("PostgreSQL", func(t *testing.T) {
		s := newSystem(t)
		s.database = newPostgresDatabase(t)
		testUpgrade(t, previous, s)
	})
}

// buildPrevious builds the authorization server of the previous version from the history of
// the repository, and returns its path.
func buildPrevious(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	archive := exec.CommandContext(t.Context(), "git", "-C", root, "archive", previousVersion)
	files, err := archive.Output()
	if err != nil {
		leftOut(t, "an upgrade: the history of the repository does not have the previous version")
	}
	unpack := exec.CommandContext(t.Context(), "tar", "-x", "-C", dir)
	unpack.Stdin = bytes.NewReader(files)
	if out, err := unpack.CombinedOutput(); err != nil {
		t.Fatalf("unpacking the previous version: %v\n%s", err, out)
	}
	program := filepath.Join(t.TempDir(), "authserver")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./authserver/cmd/authserver")
	build.Dir = dir
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK="+filepath.Join(dir, "go.work"))
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the previous version: %v\n%s", err, out)
	}
	return program
}

// upgrade is a system with an authorization server of each version. The API gets status lists
// from the one at the issuer's address.
type upgrade struct {
	*system
	t          *testing.T
	oldProcess *process
	old, new   string // base URLs
	secret     string // of the client gateway
}

// serveAs starts an authorization server on the system's database.
func (u *upgrade) serveAs(program, listen string) (*process, string) {
	u.t.Helper()
	admin := freeAddresses(u.t, 1)[0]
	cmd := exec.Command(program, "serve", "--database-url", u.database, "--keys-file", u.keysFile,
		"--issuer", u.authURL, "--audience", u.apiURL, "--listen", listen, "--admin-listen", admin,
		"--bcrypt-cost", "10", "--drain-delay", "0s", "--demo")
	cmd.Env = cleanEnv()
	p := launch(u.t, filepath.Base(program)+" at "+listen, cmd)
	waitFor(u.t, "the server at "+listen+" to be ready", func() bool { return isReady(admin) }, p)
	return p, "http://" + listen
}

// issue sends a token request to a server, which must give tokens.
func (u *upgrade) issue(what, base string, namesAndValues ...string) tokens {
	u.t.Helper()
	got := send(u.t, base, form(namesAndValues...))
	if got.status != http.StatusOK {
		u.t.Fatalf("%s at %s: %d %s", what, base, got.status, got.body)
	}
	members := got.members(u.t)
	refresh, _ := members["refresh_token"].(string)
	return tokens{access: got.text(u.t, "access_token"), refresh: refresh}
}

func (u *upgrade) loginAt(base string) tokens {
	u.t.Helper()
	return u.issue("login", base, "grant_type", "password", "client_id", "demo", "username", "john.doe", "password",
		demoPassword)
}

func (u *upgrade) refreshAt(base, token string) tokens {
	u.t.Helper()
	return u.issue("refresh", base, "grant_type", "refresh_token", "client_id", "demo", "refresh_token", token)
}

func (u *upgrade) serviceTokenAt(base string) string {
	u.t.Helper()
	return u.issue("client credentials", base,
		"grant_type", "client_credentials", "client_id", "gateway", "client_secret", u.secret).access
}

func (u *upgrade) revokeAt(base, token string) {
	u.t.Helper()
	r := form("client_id", "demo", "token", token)
	r.path = "/revoke"
	if got := send(u.t, base, r); got.status != http.StatusOK {
		u.t.Errorf("revoke at %s: %d %s", base, got.status, got.body)
	}
}

// expectActive introspects a token at both servers.
func (u *upgrade) expectActive(what, token string, want bool) {
	u.t.Helper()
	for _, base := range []string{u.old, u.new} {
		r := form("client_id", "gateway", "client_secret", u.secret, "token", token)
		r.path = "/introspect"
		if got := send(u.t, base, r); got.status != http.StatusOK || got.members(u.t)["active"] != want {
			u.t.Errorf("%s at %s: %d %s, want active %v", what, base, got.status, got.body, want)
		}
	}
}

// expectUser calls the API, and userinfo at both servers.
func (u *upgrade) expectUser(what, accessToken string) {
	u.t.Helper()
	u.callMe(u.t, accessToken, "John Doe")
	for _, base := range []string{u.old, u.new} {
		if got := send(u.t, base, get("/userinfo", "Bearer "+accessToken)); got.status != http.StatusOK {
			u.t.Errorf("userinfo with %s at %s: %d %s", what, base, got.status, got.body)
		}
	}
}

// expectRefused waits until the API refuses a token that was revoked.
func (u *upgrade) expectRefused(what, accessToken string) {
	u.t.Helper()
	waitFor(u.t, "the API to refuse "+what, func() bool {
		return send(u.t, u.apiURL, get("/users/me", "Bearer "+accessToken)).status == http.StatusUnauthorized
	})
}

func testUpgrade(t *testing.T, previous string, s *system) {
	u := &upgrade{system: s, t: t}
	u.oldProcess, u.old = u.serveAs(previous, s.authAddress)
	add := exec.CommandContext(t.Context(), previous, "client", "add", "gateway", "--grant", "client_credentials",
		"--introspects", "--scope", "profile", "--database-url", s.database)
	add.Env = cleanEnv()
	secret, err := add.Output()
	if err != nil {
		t.Fatal(err)
	}
	u.secret = strings.TrimSpace(string(secret))
	before, left, service := u.loginAt(u.old), u.loginAt(u.old), u.serviceTokenAt(u.old)
	s.startResourceserver(t)

	beside := freeAddresses(t, 1)[0]
	var besideProcess *process
	besideProcess, u.new = u.serveAs(filepath.Join(bin, "authserver"), beside)
	u.expectUser("a token of the old server", before.access)
	u.expectActive("a service token of the old server", service, true)
	u.expectActive("a service token of the new server", u.serviceTokenAt(u.new), true)

	refreshed := u.refreshAt(u.new, before.refresh) // a login of the old server, at the new one
	u.expectUser("a token that the new server refreshed", refreshed.access)
	u.expectActive("a token that the new server refreshed", refreshed.access, true)
	after := u.loginAt(u.new)
	u.expectUser("a token of the new server", after.access)
	again := u.refreshAt(u.old, after.refresh) // a login of the new server, at the old one
	u.expectUser("a token that the old server refreshed", again.access)

	a := s.register(t, "app", "https://app.example/callback", "--public")
	john := s.visit(t, a) // at the old server, where he consents
	redeemed := send(t, u.new, a.redemption(john.code(a))).tokens(t)
	u.expectUser("a token for a code of the old server", redeemed.access)

	u.revokeAt(u.old, again.refresh)
	u.expectActive("a login of the new server that the old one revoked", again.access, false)
	u.expectRefused("a login of the new server that the old one revoked", after.access)
	u.revokeAt(u.new, refreshed.refresh)
	u.expectActive("a login of the old server that the new one revoked", refreshed.access, false)
	u.expectRefused("a login of the old server that the new one revoked", before.access)

	// The old server is stopped, and the new one takes its address: now its lists count.
	u.oldProcess.stop(t)
	besideProcess.stop(t)
	_, u.new = u.serveAs(filepath.Join(bin, "authserver"), s.authAddress)
	u.old = u.new
	u.expectUser("a token of the old server, which is gone", left.access)
	last := u.refreshAt(u.new, left.refresh)
	u.expectUser("a refreshed token", last.access)
	u.revokeAt(u.new, last.refresh)
	u.expectRefused("a login of the old server", left.access)
	if list := s.admin(t, "", "api", "list"); !strings.Contains(list, s.apiURL) {
		t.Errorf("api list does not have the default API:\n%s", list)
	}
}
