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

// previousVersions are commits whose servers run beside those of this version while an upgrade is rolled out.
var previousVersions = []struct{ name, commit string }{
	{"before the default API was stored", "451c36d6a776efdaa5a610d5cb872ebec299c001"}, // schema version 8
	{"before OpenID Connect", "79012aa79b810b9596d999153cbb68feecf9ba67"},
	{"before second factors", "b9fa5e43a94e909565cfb5577d1d6a3e743c3546"},
	{"before administration", "8b6d155b7e1eaac04c0c798fb4321f52ab3a1ff6"},
	{"before sessions were renewed in place", "70b744e3cc7a3b9e33b5d042d16f2753da6610d3"},
}

// Servers of a previous version and of this one run on one database, with the keys of the previous one, while an
// upgrade is rolled out. Each accepts what the other issues, and a revocation by either reaches the API.
func TestUpgradeBesidePreviousVersions(t *testing.T) {
	longTest(t)
	t.Parallel()
	for _, version := range previousVersions {
		t.Run(version.name, func(t *testing.T) {
			t.Parallel()
			previous := buildPrevious(t, version.commit)
			t.Run("SQLite", func(t *testing.T) { testUpgrade(t, previous, newSystem(t)) })
			t.Run("PostgreSQL", func(t *testing.T) {
				s := newSystem(t)
				s.database = newPostgresDatabase(t)
				testUpgrade(t, previous, s)
			})
		})
	}
}

// buildPrevious builds the servers of a commit from the history of the repository, and returns their folder.
func buildPrevious(t *testing.T, commit string) string {
	t.Helper()
	dir, programs := t.TempDir(), t.TempDir()
	archive := exec.CommandContext(t.Context(), "git", "-C", root, "archive", commit)
	files, err := archive.Output()
	if err != nil {
		leftOut(t, "an upgrade: the history of the repository does not have commit "+commit)
	}
	unpack := exec.CommandContext(t.Context(), "tar", "-x", "-C", dir)
	unpack.Stdin = bytes.NewReader(files)
	if out, err := unpack.CombinedOutput(); err != nil {
		t.Fatalf("unpacking commit %s: %v\n%s", commit, err, out)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", programs+string(filepath.Separator),
		"./authserver/cmd/authserver", "./resourceserver/cmd/resourceserver")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOWORK="+filepath.Join(dir, "go.work"))
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building commit %s: %v\n%s", commit, err, out)
	}
	return programs
}

// upgrade is a system with an authorization server of each version. The API gets status lists
// from the one at the issuer's address.
type upgrade struct {
	*system
	t        *testing.T
	previous string // folder of the previous version's programs
	old, new string // base URLs
	secret   string // of the client gateway
}

// before returns the path of a program of the previous version.
func (u *upgrade) before(program string) string { return filepath.Join(u.previous, program) }

// run runs a command of the previous authorization server.
func (u *upgrade) run(args ...string) string {
	u.t.Helper()
	cmd := exec.CommandContext(u.t.Context(), u.before("authserver"), args...)
	cmd.Env = cleanEnv()
	out, err := cmd.Output()
	if err != nil {
		u.t.Fatalf("%v of the previous version: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// useKeysOfPreviousVersion replaces the keys by new ones of the previous version.
func (u *upgrade) useKeysOfPreviousVersion() {
	u.t.Helper()
	for _, path := range []string{u.apiKeysFile(), u.keysFile} {
		if err := os.Remove(path); err != nil {
			u.t.Fatal(err)
		}
	}
	u.run("key", "init", u.keysFile)
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

// startAPI starts an API in place of the one that runs.
func (u *upgrade) startAPI(program string) {
	u.t.Helper()
	if u.resourceserver != nil {
		u.resourceserver.stop(u.t)
	}
	cmd := exec.Command(program, "serve", "--keys-file", u.apiKeysFile(), "--issuer", u.authURL, "--audience", u.apiURL,
		"--listen", u.apiAddress, "--admin-listen", u.apiAdmin, "--drain-delay", "0s")
	cmd.Env = cleanEnv()
	u.resourceserver = launch(u.t, "the API of "+program, cmd)
	waitFor(u.t, "the API to be ready", func() bool { return isReady(u.apiAdmin) }, u.resourceserver)
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

func (u *upgrade) revokeAs(id, base, token string) {
	u.t.Helper()
	r := form("client_id", id, "token", token)
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

// connectDevice connects a device at the new server. The old one, which may not know its grant type, refreshes
// and revokes its login.
func (u *upgrade) connectDevice() {
	u.t.Helper()
	u.registerDevice(u.t, "tv", "TV", "profile")
	d := startDevice(u.t, u.new, "tv")
	page := newPerson(u.t, "john.doe", demoPassword).connect(u.new+"/device?user_code="+d.UserCode, "allow")
	if !strings.Contains(page, "Device connected") {
		u.t.Errorf("the last page is %s", page)
	}
	got := pollDevice(u.t, u.new, "tv", d).tokens(u.t)
	u.expectUser("a token of a device", got.access)
	next := u.issue("refresh", u.old, "grant_type", "refresh_token", "client_id", "tv", "refresh_token", got.refresh)
	u.expectActive("a device's token that the old server refreshed", next.access, true)
	u.revokeAs("tv", u.old, next.refresh)
	u.expectActive("a device's login that the old server revoked", next.access, false)
}

// checkSigner checks that a client that has keys and no secret is not a public client to the old server.
func (u *upgrade) checkSigner() {
	u.t.Helper()
	u.registerSigner(u.t)
	for _, secret := range []string{"", "none"} {
		r := form("grant_type", "client_credentials", "client_id", "signer", "client_secret", secret)
		if got := send(u.t, u.old, r); got.status != http.StatusUnauthorized {
			u.t.Errorf("a client with keys at the old server: %d %s", got.status, got.body)
		}
	}
}

// shareLogins refreshes and revokes logins of each server at the other one.
func (u *upgrade) shareLogins(before tokens) {
	u.t.Helper()
	refreshed := u.refreshAt(u.new, before.refresh)
	u.expectUser("a token that the new server refreshed", refreshed.access)
	u.expectActive("a token that the new server refreshed", refreshed.access, true)
	after := u.loginAt(u.new)
	u.expectUser("a token of the new server", after.access)
	again := u.refreshAt(u.old, after.refresh)
	u.expectUser("a token that the old server refreshed", again.access)

	u.revokeAs("demo", u.old, again.refresh)
	u.expectActive("a login of the new server that the old one revoked", again.access, false)
	u.expectRefused("a login of the new server that the old one revoked", after.access)
	u.revokeAs("demo", u.new, refreshed.refresh)
	u.expectActive("a login of the old server that the new one revoked", refreshed.access, false)
	u.expectRefused("a login of the old server that the new one revoked", before.access)
}

// shareSessions logs a browser in at each server. The other one gives it codes, which the first redeems, and logs
// it out of browser and apps.
func (u *upgrade) shareSessions() {
	u.t.Helper()
	a := u.register(u.t, "app", "https://app.example/callback", "--public")
	for _, way := range []struct{ what, here, there string }{
		{"a session of the old server", u.old, u.new},
		{"a session of the new server", u.new, u.old},
	} {
		v := &visitor{t: u.t, base: way.here}
		v.login(a.query()).location(u.t)
		own := send(u.t, way.there, a.redemption(v.code(a))).tokens(u.t)
		u.expectUser("a token for a code in "+way.what, own.access)
		v.base = way.there
		other := send(u.t, way.here, a.redemption(v.code(a))).tokens(u.t)
		u.expectUser("a token for a code of the other server in "+way.what, other.access)
		v.post("/logout", "apps", "end").location(u.t)
		v.base = way.here
		v.authorize(a).checkPage(u.t, http.StatusOK, "Log in")
		for _, got := range []tokens{own, other} {
			u.expectActive("a login of "+way.what+" that the other server ended", got.access, false)
		}
	}
}

// rotateKeys rotates the keys with this version's command while servers of both versions run. An API that has shared
// the server's file goes on with the file that the command has created.
func (u *upgrade) rotateKeys(left string) {
	u.t.Helper()
	mustCommand(u.t, "", "authserver", "key", "rotate", u.keysFile, "--signs-after", "2s")
	u.startAPI(u.before("resourceserver"))
	for _, base := range []string{u.old, u.new} { // until both servers have read the file
		waitFor(u.t, "the new key to sign at "+base, func() bool {
			return keyOf(u.t, u.loginAt(base).access) != keyOf(u.t, left)
		})
	}
	for _, base := range []string{u.old, u.new} {
		u.expectUser("a token of the new key", u.loginAt(base).access)
		u.expectActive("a token of the new key", u.loginAt(base).access, true)
	}
	u.expectUser("a token of the previous key", left)
	u.expectActive("a token of the previous key", left, true)
}

// checkOpenID logs a user in with an ID token at the new server. The old one, which may know no ID tokens, refreshes
// the login and redeems a code.
func (u *upgrade) checkOpenID() {
	u.t.Helper()
	mustCommand(u.t, "", "authserver", "key", "rotate", u.keysFile, "--id-tokens", "--signs-after", "0s")
	waitFor(u.t, "OpenID Connect at the new server", func() bool {
		return strings.Contains(send(u.t, u.new, get("/.well-known/openid-configuration")).body, `"openid"`)
	})
	a := u.register(u.t, "rp", "https://rp.example/callback", "--public", "--scope", "openid profile email")
	v := &visitor{t: u.t, base: u.new}
	v.login(a.query("scope", "openid profile")).location(u.t)
	first := send(u.t, u.new, a.redemption(v.code(a, "scope", "openid profile")))
	if first.members(u.t)["id_token"] == nil {
		u.t.Errorf("got %s, want an ID token", first.body)
	}
	second := send(u.t, u.old, a.refreshing(first.tokens(u.t).refresh)).tokens(u.t)
	u.expectUser("a token of an OpenID Connect login that the old server refreshed", second.access)
	third := send(u.t, u.new, a.refreshing(second.refresh))
	if third.members(u.t)["id_token"] == nil {
		u.t.Errorf("got %s, want an ID token", third.body)
	}
	redeemed := send(u.t, u.old, a.redemption(v.code(a, "scope", "openid profile"))).tokens(u.t)
	u.expectUser("a token for a code of an OpenID Connect login", redeemed.access)
	v.base = u.old
	v.post("/logout", "apps", "end").location(u.t)
	u.expectActive("an OpenID Connect login that the old server ended", third.text(u.t, "access_token"), false)
}

func testUpgrade(t *testing.T, previous string, s *system) {
	u := &upgrade{system: s, t: t, previous: previous}
	u.useKeysOfPreviousVersion()
	oldProcess, old := u.serveAs(u.before("authserver"), s.authAddress)
	u.old = old
	u.secret = u.run("client", "add", "gateway", "--grant", "client_credentials", "--introspects", "--scope", "profile",
		"--database-url", s.database)
	before, left, service := u.loginAt(u.old), u.loginAt(u.old), u.serviceTokenAt(u.old)
	u.startAPI(u.before("resourceserver"))

	besideProcess, beside := u.serveAs(filepath.Join(bin, "authserver"), freeAddresses(t, 1)[0])
	u.new = beside
	u.expectUser("a token of the old server", before.access)
	u.expectActive("a service token of the old server", service, true)
	u.expectActive("a service token of the new server", u.serviceTokenAt(u.new), true)
	u.checkSigner()
	u.shareLogins(before)
	u.shareSessions()
	u.connectDevice()
	u.rotateKeys(left.access)
	u.checkOpenID()

	// The old servers are stopped, and the new ones take their addresses: now their lists count.
	oldProcess.stop(t)
	besideProcess.stop(t)
	_, u.new = u.serveAs(filepath.Join(bin, "authserver"), s.authAddress)
	u.old = u.new
	u.startAPI(filepath.Join(bin, "resourceserver"))
	u.expectUser("a token of the old server, which is gone", left.access)
	last := u.refreshAt(u.new, left.refresh)
	u.expectUser("a refreshed token", last.access)
	u.revokeAs("demo", u.new, last.refresh)
	u.expectRefused("a login of the old server", left.access)
	if list := s.admin(t, "", "api", "list"); !strings.Contains(list, s.apiURL) {
		t.Errorf("api list does not have the default API:\n%s", list)
	}
}
