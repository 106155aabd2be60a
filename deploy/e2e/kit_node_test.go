package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/statuslist"
)

// nodeKit is the folder of the kit for Node.js.
const nodeKit = root + "/deploy/kit/node"

// nodeFrameworks are the frameworks that the kit has adapters and examples for.
var nodeFrameworks = []string{"express", "fastify", "hono"}

// needNodeKit skips a test if Node.js or the libraries that the kit is tested with are not installed.
func needNodeKit(t *testing.T) {
	t.Helper()
	for _, library := range []string{"jose", "express", "fastify", "hono", "@hono/node-server", "typescript"} {
		if _, err := os.Stat(filepath.Join(nodeKit, "node_modules", library)); err != nil {
			leftOut(t, "the kit for Node.js, which needs npm ci in deploy/kit/node")
		}
	}
	version, err := exec.CommandContext(t.Context(), "node", "--version").Output()
	var major, minor int
	if _, scanErr := fmt.Sscanf(string(version), "v%d.%d", &major, &minor); err != nil || scanErr != nil ||
		major < 20 || major == 20 && minor < 12 {
		leftOut(t, "the kit for Node.js, which needs Node.js 20.12 or newer")
	}
}

// The kit passes its own tests, among them the vectors of all kits, and its declarations fit the code.
func TestNodeKit(t *testing.T) {
	t.Parallel()
	needNodeKit(t)
	files, err := filepath.Glob(nodeKit + "/test/*.test.js")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests: %v", err)
	}
	args := []string{"--test"}
	for _, file := range files {
		args = append(args, filepath.Join("test", filepath.Base(file)))
	}
	for _, args := range [][]string{args, {"node_modules/typescript/bin/tsc"}} {
		cmd := exec.CommandContext(t.Context(), "node", args...)
		cmd.Dir = nodeKit
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("node %s: %v\n%s", args[0], err, out)
		}
	}
}

// The README of the kit shows the example for Express as it is.
func TestNodeKitREADME(t *testing.T) {
	readme, err := os.ReadFile(nodeKit + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile(nodeKit + "/examples/express.js")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "```js\n"+string(example)+"```\n") {
		t.Error("deploy/kit/node/README.md differs from examples/express.js")
	}
}

// installNodeKit returns a folder with the examples of the kit, in which the kit is installed from the package that
// npm publishes.
func installNodeKit(t *testing.T) string {
	t.Helper()
	app := t.TempDir()
	packed := filepath.Join(app, "node_modules", "@hallpass-auth", "kit")
	if err := os.MkdirAll(packed, 0o755); err != nil {
		t.Fatal(err)
	}
	run := func(dir, name string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
	}
	run(nodeKit, "npm", "pack", "--silent", "--pack-destination", app)
	run(app, "tar", "-xzf", "hallpass-auth-kit-0.0.0.tgz", "--strip-components=1", "-C", packed)
	libraries, err := filepath.Abs(filepath.Join(nodeKit, "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	for _, library := range []string{"jose", "express", "fastify", "hono", "@hono"} {
		if err := os.Symlink(filepath.Join(libraries, library), filepath.Join(app, "node_modules", library)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(app, "package.json"), []byte(`{"type": "module"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, framework := range nodeFrameworks {
		if err := copyFile(app, nodeKit+"/examples", framework+".js", 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return app
}

// startNodeAPI starts an example of the kit, and returns the URL of its API. ahead is what its clock shows more than
// that of the machine.
func startNodeAPI(t *testing.T, app, framework string, s *system, ahead time.Duration, settings ...string) string {
	t.Helper()
	address := freeAddresses(t, 1)[0]
	clock := fmt.Sprintf("data:text/javascript,const now=Date.now;Date.now=()=>now()+%d", ahead.Milliseconds())
	cmd := exec.CommandContext(t.Context(), "node", "--import", clock, framework+".js")
	cmd.Dir = app
	cmd.Env = cleanEnv(append(settings, "PORT="+strings.TrimPrefix(address, "127.0.0.1:"),
		"HALLPASS_ISSUER="+s.authURL, "HALLPASS_AUDIENCE="+s.apiURL)...)
	p := launch(t, framework, cmd)
	waitFor(t, framework+" to be ready", func() bool { return isReady(address) }, p)
	return "http://" + address
}

// itemStatus calls a protected route of an example, and returns the status. It repeats the request after a 503: on a
// busy machine, keys or a list may take longer than a request waits.
func itemStatus(t *testing.T, api, accessToken string) (status int) {
	t.Helper()
	waitFor(t, "another status than 503", func() bool {
		status = send(t, api, get("/items/1", "Bearer "+accessToken)).status
		return status != http.StatusServiceUnavailable
	})
	return status
}

// refusedByAll waits until each API refuses the token.
func refusedByAll(t *testing.T, apis []string, accessToken string) {
	t.Helper()
	for _, api := range apis {
		waitFor(t, api+" to refuse a revoked token", func() bool {
			return itemStatus(t, api, accessToken) == http.StatusUnauthorized
		})
	}
}

// startNodeSystem starts an authorization server whose keys have the algorithm.
func startNodeSystem(t *testing.T, algorithm string) *system {
	t.Helper()
	needNodeKit(t)
	s := newSystem(t)
	if algorithm != keyring.HS256 {
		s.keysFile = filepath.Join(t.TempDir(), "keys.json")
		mustCommand(t, "", "authserver", "key", "init", "--algorithm", algorithm, s.keysFile)
	}
	s.startAuthserver(t, "--demo")
	return s
}

// APIs with the kit notice a revocation, and neither a rotation of the keys nor an outage of the authorization server.
func TestNodeKitAPIs(t *testing.T) {
	longTest(t)
	t.Parallel()
	s := startNodeSystem(t, keyring.EdDSA)
	app := installNodeKit(t)
	var apis []string
	for _, framework := range nodeFrameworks {
		apis = append(apis, startNodeAPI(t, app, framework, s, 0, "HALLPASS_KEYS_URL="+s.authURL+"/jwks.json"))
	}
	john, jane := s.login(t, "john.doe", demoPassword), s.login(t, "jane.smith", "anothersecurepass")
	expect := func(what string, status int, tokens ...string) {
		t.Helper()
		for i, api := range apis {
			for _, token := range tokens {
				if got := itemStatus(t, api, token); got != status {
					t.Fatalf("%s: %s responds with %d, want %d", what, nodeFrameworks[i], got, status)
				}
			}
		}
	}
	expect("new tokens", http.StatusOK, john, jane)
	for i, api := range apis {
		me := send(t, api, get("/me", "Bearer "+john))
		if me.status != http.StatusOK || me.text(t, "username") != "john.doe" {
			t.Errorf("%s: %d %s", nodeFrameworks[i], me.status, me.body)
		}
		checkMetadata(t, s, api)
	}

	mustCommand(t, "", "authserver", "key", "rotate", s.keysFile, "--signs-after", "3s")
	waitFor(t, "the new key to sign", func() bool {
		fresh := s.login(t, "john.doe", demoPassword)
		expect("rotation", http.StatusOK, john, jane)
		return keyOf(t, fresh) != keyOf(t, john)
	}, s.authserver)
	fresh := s.login(t, "john.doe", demoPassword)
	expect("a key that is not known yet", http.StatusOK, fresh)

	s.authserver.stop(t)
	for range 20 {
		expect("an outage", http.StatusOK, john, jane, fresh)
	}
	s.startAuthserver(t, "--demo")
	s.admin(t, "", "user", "disable", "jane.smith")
	refusedByAll(t, apis, jane)
	expect("other tokens", http.StatusOK, john, fresh)
}

// checkMetadata checks that a challenge of the API names its metadata, which names the authorization server.
func checkMetadata(t *testing.T, s *system, api string) {
	t.Helper()
	const path = "/.well-known/oauth-protected-resource"
	refused := send(t, api, get("/items/1"))
	if !strings.Contains(refused.header.Get("WWW-Authenticate"), `resource_metadata="`+s.apiURL+path+`"`) {
		t.Errorf("%d %v", refused.status, refused.header)
	}
	metadata := send(t, api, get(path))
	if metadata.text(t, "resource") != s.apiURL || !strings.Contains(metadata.body, s.authURL) {
		t.Errorf("metadata: %d %s", metadata.status, metadata.body)
	}
}

// listProxy is between an API and the status lists. It can replace them.
type listProxy struct {
	*httptest.Server
	bad atomic.Bool // whether it sends the wrong list
}

// startListProxy starts a proxy that sends a wrong list; missing is a 404.
func startListProxy(t *testing.T, s *system, wrong string) *listProxy {
	t.Helper()
	target, err := url.Parse(s.authURL)
	if err != nil {
		t.Fatal(err)
	}
	p := new(listProxy)
	right := httputil.NewSingleHostReverseProxy(target)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !p.bad.Load():
			right.ServeHTTP(w, r)
		case wrong == "":
			http.NotFound(w, r)
		default:
			_, _ = w.Write([]byte(wrong)) // an error means that the client has disconnected
		}
	}))
	p.bad.Store(true)
	t.Cleanup(p.Close)
	return p
}

// wrongLists returns signed lists that an API must not use, by what is wrong with them.
func wrongLists(t *testing.T, s *system) map[string]string {
	t.Helper()
	keys, err := keyring.Open(s.keysFile)
	if err != nil {
		t.Fatal(err)
	}
	key, err := keys.Current().Signer(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	other, err := keyring.Parse(fmt.Appendf(nil, `{"keys": [{"kty": "oct", "kid": %q, "k": %q}]}`,
		key.ID, strings.Repeat("A", 43)))
	if err != nil {
		t.Fatal(err)
	}
	sign := func(uri string, age time.Duration, key *keyring.Key) string {
		t.Helper()
		issued := time.Now().Add(-age)
		signed, err := statuslist.Sign(statuslist.Token{
			URI: uri, IssuedAt: issued, ExpiresAt: issued.Add(5 * time.Minute), TTL: time.Second,
			List: statuslist.NewList(1 << 10),
		}, key)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	uri := s.authURL + statuslist.Path + "/0"
	return map[string]string{
		"missing":          "",
		"stale":            sign(uri, time.Hour, key),
		"forged":           sign(uri, 0, other.Keys()[0]),
		"for another list": sign(s.authURL+statuslist.Path+"/1", 0, key),
	}
}

// Without the right status list, an API with the kit responds with 503. A list that it has stays in use.
func TestNodeKitWrongLists(t *testing.T) {
	longTest(t)
	t.Parallel()
	s := startNodeSystem(t, keyring.HS256)
	app := installNodeKit(t)
	token := s.login(t, "john.doe", demoPassword)
	for what, list := range wrongLists(t, s) {
		for _, framework := range nodeFrameworks {
			t.Run(what+", "+framework, func(t *testing.T) {
				t.Parallel()
				proxy := startListProxy(t, s, list)
				api := startNodeAPI(t, app, framework, s, 0,
					"HALLPASS_KEYS_FILE="+s.apiKeysFile(), "HALLPASS_STATUS_LISTS_URL="+proxy.URL+statuslist.Path)
				got := send(t, api, get("/items/1", "Bearer "+token))
				if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" ||
					got.header.Get("WWW-Authenticate") != "" {
					t.Errorf("%d %v %s, want 503 with Retry-After", got.status, got.header, got.body)
				}
				proxy.bad.Store(false)
				waitFor(t, "the right list", func() bool { return itemStatus(t, api, token) == http.StatusOK })
				proxy.bad.Store(true)
				for range 20 {
					if status := itemStatus(t, api, token); status != http.StatusOK {
						t.Fatalf("with the list from before: %d", status)
					}
				}
			})
		}
	}
}

// A clock of the API that is a minute wrong shifts when tokens expire, and nothing else.
func TestNodeKitWrongClock(t *testing.T) {
	longTest(t)
	t.Parallel()
	s := startNodeSystem(t, keyring.HS256)
	app := installNodeKit(t)
	for _, ahead := range []time.Duration{time.Minute, -time.Minute} {
		var apis []string
		for _, framework := range nodeFrameworks {
			apis = append(apis, startNodeAPI(t, app, framework, s, ahead, "HALLPASS_KEYS_FILE="+s.apiKeysFile()))
		}
		token := s.login(t, "john.doe", demoPassword)
		expires := newForger(t, s, token).with(t, map[string]any{"exp": time.Now().Add(50 * time.Second).Unix()})
		for i, api := range apis {
			if status := itemStatus(t, api, token); status != http.StatusOK {
				t.Errorf("%s, %v ahead: %d", nodeFrameworks[i], ahead, status)
			}
			if status := itemStatus(t, api, expires); (status == http.StatusUnauthorized) != (ahead > 0) {
				t.Errorf("%s, %v ahead: %d for a token that expires in 50 seconds", nodeFrameworks[i], ahead, status)
			}
		}
		s.admin(t, "", "user", "logout", "john.doe")
		refusedByAll(t, apis, token)
	}
}
