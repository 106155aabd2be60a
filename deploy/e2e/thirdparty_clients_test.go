package e2e_test

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/zitadel/oidc/v3/pkg/client/rp"
	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// The tests in this file run what deploy/docs/openid-connect-clients.md tells people to type: the commands that
// register the clients, and the programs and configurations of the clients.

// clientsPage is the page about clients.
const clientsPage = docs + "/openid-connect-clients.md"

// relyingApp is an app of a section of clientsPage.
type relyingApp struct {
	*system
	section  document
	folder   string // where it runs
	address  string
	upstream *upstream
	env      []string // the variables that registering it has set
	john     *person
}

// upstream is the page that a proxy protects. It records the headers of the last request.
type upstream struct {
	*httptest.Server
	mu     sync.Mutex
	header http.Header
}

// newUpstream starts an upstream.
func newUpstream(t *testing.T) *upstream {
	t.Helper()
	u := &upstream{}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.mu.Lock()
		u.header = r.Header
		u.mu.Unlock()
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<!doctype html><link rel="icon" href="data:,"><h1>Protected page</h1>`)
	}))
	t.Cleanup(u.Close)
	return u
}

// last returns a header of the last request.
func (u *upstream) last(name string) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.header.Get(name)
}

// newRelyingApp starts the authorization server and registers the client of a section as the page says.
func newRelyingApp(t *testing.T, heading string) *relyingApp {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, clientsPage))
	if err != nil {
		t.Fatal(err)
	}
	intro, rest, found := strings.Cut(string(text), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("%s has no section %q", clientsPage, heading)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	a := &relyingApp{
		system: newSystem(t), section: document{heading, rest}, folder: t.TempDir(),
		address: freeAddresses(t, 1)[0], upstream: newUpstream(t), john: newPerson(t, "john.doe", demoPassword),
	}
	a.startAuthserver(t, "--demo", "--allowed-origins", "http://"+a.address)
	t.Cleanup(func() {
		a.authserver.stop(t)
		checkNoSecrets(t, a.authserver)
	})
	first := document{clientsPage, intro}.blocks("sh")[0].text
	a.registerClient(t, first+a.block(t, "sh"))
	return a
}

// registerClient runs the commands that register the client, and keeps the variables that they export.
func (a *relyingApp) registerClient(t *testing.T, commands string) {
	t.Helper()
	if err := os.Symlink(bin, filepath.Join(a.folder, "bin")); err != nil {
		t.Fatal(err)
	}
	commands = strings.ReplaceAll(commands, "sqlite:var/hallpass.db", a.database)
	shell := exec.CommandContext(t.Context(), "sh", "-eu", "-c", commands+"env\n")
	shell.Dir = a.folder
	shell.Env = cleanEnv()
	out, err := shell.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		name, _, _ := strings.Cut(line, "=")
		if slices.Contains([]string{
			"CLIENT_SECRET", "CRYPTO_PASSPHRASE", "OAUTH2_PROXY_CLIENT_SECRET", "OAUTH2_PROXY_COOKIE_SECRET",
		}, name) {
			a.env = append(a.env, strings.TrimSpace(line))
		}
	}
}

// block returns the only block of the section with this info string. Its addresses are those of the test.
func (a *relyingApp) block(t *testing.T, info string) string {
	t.Helper()
	found := a.section.blocks(info)
	if len(found) != 1 {
		t.Fatalf("%s has %d blocks of %s, want 1", a.section.name, len(found), info)
	}
	_, port, _ := net.SplitHostPort(a.address)
	return strings.NewReplacer(
		"127.0.0.1:9000", a.authAddress, "127.0.0.1:8400", a.address, "listen(8400,", "listen("+port+",",
		"http://127.0.0.1:8080", a.upstream.URL,
	).Replace(found[0].text)
}

// write writes a file into the folder of the app and returns its path.
func (a *relyingApp) write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(a.folder, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// run runs the app and waits until it listens.
func (a *relyingApp) run(t *testing.T, program string, args ...string) *process {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = a.folder
	cmd.Env = append(cleanEnv("PYTHONDONTWRITEBYTECODE=1"), a.env...)
	p := launch(t, filepath.Base(program), cmd)
	waitFor(t, p.name+" to listen", func() bool {
		conn, err := net.Dial("tcp", a.address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	}, p)
	return p
}

// withNode puts the libraries for Node.js where a program in the folder of the app finds them.
func (a *relyingApp) withNode(t *testing.T) {
	t.Helper()
	modules, err := filepath.Abs(filepath.Join("thirdparty", "node", "node_modules"))
	if err == nil {
		err = os.Symlink(modules, filepath.Join(a.folder, "node_modules"))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// ended is where a browser ends that has opened an app.
type ended struct {
	status int
	path   string
	body   string
	asked  url.Values // the authorization request of the app
}

// open opens an address of the app in a person's browser. The person logs in and allows what the server asks.
func (a *relyingApp) open(t *testing.T, p *person, address string) (e ended) {
	t.Helper()
	browser := &http.Client{Jar: p.browser.Jar, Timeout: timeout}
	browser.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/authorize" && e.asked == nil {
			e.asked = r.URL.Query()
		}
		return nil
	}
	next := p.request(http.MethodGet, address, nil)
	next.Header.Set("Accept", "text/html") // else mod_auth_openidc takes it for a request of a script
	for range maxPages {
		resp, err := browser.Do(next)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		at := resp.Request.URL
		if at.Host != a.authAddress {
			e.status, e.path, e.body = resp.StatusCode, at.Path, string(body)
			return e
		}
		next = p.fillIn(at, string(body), "allow")
	}
	t.Fatalf("after %d pages the browser is at %s", maxPages, next.URL)
	return e
}

// visit opens the app as John and returns the page that the browser ends at. The authorization request must have the
// given parameters.
func (a *relyingApp) visit(t *testing.T, parameters ...string) string {
	t.Helper()
	got := a.open(t, a.john, "http://"+a.address+"/")
	for _, name := range parameters {
		if got.asked.Get(name) == "" {
			t.Errorf("the authorization request has no %s: %v", name, slices.Sorted(maps.Keys(got.asked)))
		}
	}
	if got.status != http.StatusOK {
		t.Fatalf("%s: %d %s", got.path, got.status, got.body)
	}
	return got.body
}

// visitRefused checks that Jane, who is not in the group, does not see the page.
func (a *relyingApp) visitRefused(t *testing.T, status int) {
	t.Helper()
	a.admin(t, "", "user", "set", "jane.smith", "--email", "jane@example.com", "--email-verified")
	got := a.open(t, newPerson(t, "jane.smith", "anothersecurepass"), "http://"+a.address+"/")
	if got.status != status || strings.Contains(got.body, "Protected page") {
		t.Errorf("Jane sees %d %s, want %d", got.status, got.body, status)
	}
}

// checkHello checks that the app knows who has logged in.
func (a *relyingApp) checkHello(t *testing.T, want string, parameters ...string) {
	t.Helper()
	if got := a.visit(t, parameters...); got != want {
		t.Errorf("the app says %q, want %q", got, want)
	}
}

// What an app says that has logged john in, and then refreshed.
const hello = "Hello john.doe, john@example.com; refreshed: true"

// withPKCE are parameters of a request with a nonce and with PKCE.
var withPKCE = []string{"nonce", "state", "code_challenge"}

// The relying party of zitadel/oidc logs a user in with PKCE and a nonce, and refreshes.
func TestThirdPartyZitadel(t *testing.T) {
	longTest(t)
	t.Parallel()
	a := newRelyingApp(t, "zitadel/oidc for Go")
	program := filepath.Join(a.folder, "app")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, a.write(t, "app.go", a.block(t, "go")))
	if out, err := build.CombinedOutput(); err != nil { // in this module
		t.Fatalf("%v\n%s", err, out)
	}
	a.run(t, program)
	a.checkHello(t, hello+"\n", withPKCE...)

	provider, err := rp.NewRelyingPartyOIDC(t.Context(), a.authURL, "demo", "", appURL, []string{oidc.ScopeOpenID})
	if err != nil {
		t.Fatal(err)
	}
	access := a.login(t, "john.doe", demoPassword)
	if _, err := rp.VerifyIDToken[*oidc.IDTokenClaims](t.Context(), access, provider.IDTokenVerifier()); err == nil {
		t.Error("the library accepts an access token as ID token")
	}
}

// openid-client logs a user in with PKCE and a nonce, checks the signature, and refreshes.
func TestThirdPartyOpenIDClientLogin(t *testing.T) {
	longTest(t)
	t.Parallel()
	needNode(t)
	a := newRelyingApp(t, "openid-client for Node.js")
	a.withNode(t)
	a.run(t, "node", a.write(t, "app.mjs", a.block(t, "js")))
	a.checkHello(t, hello+"\n", withPKCE...)
}

// Authlib's client for Flask logs a user in with PKCE and a nonce, and refreshes.
func TestThirdPartyAuthlibLogin(t *testing.T) {
	longTest(t)
	t.Parallel()
	needPython(t, "authlib", "python3-authlib")
	needPython(t, "flask", "python3-flask")
	a := newRelyingApp(t, "Authlib for Python")
	a.write(t, "app.py", a.block(t, "python"))
	_, port, _ := net.SplitHostPort(a.address)
	a.run(t, python, "-m", "flask", "--app", "app", "run", "--port", port)
	a.checkHello(t, hello+"\n", withPKCE...)
}

// passport-openidconnect logs a user in with a nonce. It has no PKCE.
func TestThirdPartyPassport(t *testing.T) {
	longTest(t)
	t.Parallel()
	needNode(t)
	a := newRelyingApp(t, "passport-openidconnect for Express")
	a.withNode(t)
	a.run(t, "node", a.write(t, "app.cjs", a.block(t, "cjs")))
	a.checkHello(t, "Hello john.doe, john@example.com\n", "nonce", "state")
}

// oidc-client-ts logs a user in on a page of its own origin, and refreshes.
func TestThirdPartyOIDCClientTS(t *testing.T) {
	longTest(t)
	t.Parallel()
	needNode(t)
	a := newRelyingApp(t, "oidc-client-ts for browsers")
	library, err := os.ReadFile(filepath.Join("thirdparty", "node", "node_modules",
		"oidc-client-ts", "dist", "browser", "oidc-client-ts.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	a.write(t, "oidc-client-ts.min.js", string(library))
	a.write(t, "index.html", a.block(t, "html"))
	listener, err := net.Listen("tcp", a.address)
	if err != nil {
		t.Fatal(err)
	}
	site := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.FileServer(http.Dir(a.folder))}}
	site.Start()
	t.Cleanup(site.Close)

	g := newGuest(t, a.system, nil)
	g.visit(site.URL + "/")
	g.do("pressing the button", chromedp.Click(chromedp.CSS("#login")))
	g.login("john.doe", demoPassword)
	g.sees("Allow access?")
	g.presses("Allow")
	g.do("coming back", chromedp.WaitVisible(chromedp.Search(`//p[@id="user"][normalize-space()]`)))
	g.check("what the page says", `document.querySelector("#user").textContent`, hello)
	g.check("the address without the code", `location.search`, "")
}

// oauth2-proxy protects a page, in a browser: the group is checked, and the tokens are refreshed.
func TestThirdPartyOAuth2Proxy(t *testing.T) {
	longTest(t)
	t.Parallel()
	program, err := filepath.Abs(filepath.Join("thirdparty", "bin", "oauth2-proxy"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		leftOut(t, "oauth2-proxy, which `make test-deps` builds")
	}
	a := newRelyingApp(t, "oauth2-proxy")
	config := strings.Replace(a.block(t, "toml"), `cookie_refresh = "10m"`, `cookie_refresh = "1s"`, 1)
	proxy := a.run(t, program, "--config", a.write(t, "oauth2-proxy.cfg", config))

	g := newGuest(t, a.system, nil)
	g.visit("http://" + a.address + "/")
	g.login("john.doe", demoPassword)
	g.sees("Allow access?")
	g.presses("Allow")
	g.sees("Protected page")
	for name, want := range map[string]string{
		"X-Forwarded-Email": "john@example.com", "X-Forwarded-Preferred-Username": "john.doe",
		"X-Forwarded-Groups": "staff",
	} {
		if got := a.upstream.last(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	waitFor(t, "a refresh", func() bool {
		g.do("opening the page again", chromedp.Reload())
		g.sees("Protected page")
		return strings.Contains(proxy.output.String(), "Refreshing session")
	}, proxy)

	a.visitRefused(t, http.StatusForbidden)
}

// Apache mod_auth_openidc protects a page: the group is checked, and the tokens are refreshed.
func TestThirdPartyApache(t *testing.T) {
	longTest(t)
	t.Parallel()
	a := startApache(t)
	page := a.visit(t, withPKCE...)
	if !strings.Contains(page, "Protected page") {
		t.Errorf("the page is %s", page)
	}
	for name, want := range map[string]string{
		"OIDC_CLAIM_email": "john@example.com", "OIDC_CLAIM_preferred_username": "john.doe", "OIDC_CLAIM_groups": "staff",
	} {
		if got := a.upstream.last(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	access := a.upstream.last("OIDC_access_token")
	refresh := url.Values{"refresh": {"http://" + a.address + "/"}, "access_token": {access}}
	got := a.open(t, a.john, "http://"+a.address+"/callback?"+refresh.Encode())
	if fresh := a.upstream.last("OIDC_access_token"); fresh == access || fresh == "" || got.path != "/" {
		t.Errorf("the refresh ends at %s with %d and the same access token", got.path, got.status)
	}
	a.visitRefused(t, http.StatusUnauthorized)
}

// apacheBase is what Debian's configuration of Apache has around that of a site.
const apacheBase = `ServerRoot %[1]s
ServerName 127.0.0.1
Listen %[2]s
PidFile %[1]s/apache.pid
ErrorLog %[1]s/error.log
DefaultRuntimeDir %[1]s
User www-data
Group www-data
LoadModule mpm_event_module %[3]s/mod_mpm_event.so
LoadModule authn_core_module %[3]s/mod_authn_core.so
LoadModule authz_core_module %[3]s/mod_authz_core.so
LoadModule authz_user_module %[3]s/mod_authz_user.so
LoadModule proxy_module %[3]s/mod_proxy.so
LoadModule proxy_http_module %[3]s/mod_proxy_http.so
LoadModule auth_openidc_module %[3]s/mod_auth_openidc.so
Include %[1]s/site.conf
`

// startApache starts Apache with the configuration of the page.
func startApache(t *testing.T) *relyingApp {
	t.Helper()
	const modules = "/usr/lib/apache2/modules"
	program, err := exec.LookPath("apache2")
	if err != nil {
		program = "/usr/sbin/apache2" // not in the path of ordinary users
	}
	for _, path := range []string{program, modules + "/mod_auth_openidc.so"} {
		if _, err := os.Stat(path); err != nil {
			leftOut(t, "Apache, which needs the Debian package libapache2-mod-auth-openidc")
		}
	}
	a := newRelyingApp(t, "Apache mod_auth_openidc")
	a.write(t, "site.conf", a.block(t, "apache"))
	config := a.write(t, "apache.conf", fmt.Sprintf(apacheBase, a.folder, a.address, modules))
	p := a.run(t, program, "-f", config, "-DFOREGROUND")
	t.Cleanup(func() {
		p.stop(t)
		if log, err := os.ReadFile(filepath.Join(a.folder, "error.log")); t.Failed() {
			t.Logf("error.log of Apache: %v\n%s", err, log)
		}
	})
	return a
}
