package e2e_test

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/statuslist"
)

// The tests in this file use an API that a kit of another language protects, instead of the resource server.

// kitAPI is an API with a kit.
type kitAPI struct {
	name  string
	start func(t *testing.T, address string, settings map[string]string) *process
}

// kitSystem is an authorization server, and an API with a kit that reaches its status lists through lists.
type kitSystem struct {
	*system
	kit   kitAPI
	keys  map[string]string // the setting that names the keys
	lists *listsProxy
	api   *process
}

// newKitSystem starts an authorization server with keys of an algorithm. The API is not started.
func newKitSystem(t *testing.T, kit kitAPI, algorithm string) *kitSystem {
	t.Helper()
	k := &kitSystem{system: newSystem(t), kit: kit}
	k.keysFile = filepath.Join(t.TempDir(), "keys.json")
	mustCommand(t, "", "authserver", "key", "init", "--algorithm", algorithm, k.keysFile)
	k.keys = map[string]string{"KEYS_URL": k.authURL + "/jwks.json"}
	if algorithm == "HS256" {
		own := filepath.Join(t.TempDir(), "api-keys.json")
		mustCommand(t, "", "authserver", "key", "export", k.keysFile, own)
		k.keys = map[string]string{"KEYS_FILE": own}
	}
	k.startAuthserver(t, "--demo")
	k.lists = newListsProxy(t, k.authURL)
	t.Cleanup(func() {
		for _, p := range []*process{k.authserver, k.api} {
			checkNoSecrets(t, p)
		}
	})
	return k
}

// startAPI starts the API with further settings, after it has stopped the one that runs.
func (k *kitSystem) startAPI(t *testing.T, settings ...string) {
	t.Helper()
	if k.api != nil {
		k.api.stop(t)
	}
	all := map[string]string{"ISSUER": k.authURL, "AUDIENCE": k.apiURL, "STATUS_LISTS_URL": k.lists.url + "/status-lists"}
	for name, value := range k.keys {
		all[name] = value
	}
	for i := 0; i < len(settings); i += 2 {
		all[settings[i]] = settings[i+1]
	}
	k.api = k.kit.start(t, k.apiAddress, all)
	waitFor(t, "the API to respond", func() bool {
		got, err := try(t.Context(), k.apiURL, get("/users/me"))
		return err == nil && got.status == http.StatusUnauthorized
	}, k.api)
}

// call returns the response to GET /users/me.
func (k *kitSystem) call(t *testing.T, token string) response {
	t.Helper()
	return send(t, k.apiURL, get("/users/me", "Bearer "+token))
}

// checkStatus checks the status of the response to a token.
func (k *kitSystem) checkStatus(t *testing.T, what, token string, status int) {
	t.Helper()
	if got := k.call(t, token); got.status != status {
		t.Errorf("%s: %d %s, want %d", what, got.status, got.body, status)
	}
}

// revoke ends all logins of john.doe, and waits until the API refuses the token.
func (k *kitSystem) revoke(t *testing.T, token string) {
	t.Helper()
	k.admin(t, "", "user", "logout", "john.doe")
	waitFor(t, "the API to refuse the revoked token", func() bool {
		got := k.call(t, token)
		if got.status != http.StatusOK && got.status != http.StatusUnauthorized {
			t.Fatalf("the API responds with %d %s", got.status, got.body)
		}
		return got.status == http.StatusUnauthorized
	}, k.api, k.authserver)
}

// listsProxy is a proxy in front of the status lists. It can respond with something else.
type listsProxy struct {
	url    string
	failed atomic.Int64 // responses that no kit may use

	mu     sync.Mutex
	change func(path, list string) (string, bool) // returns the body, and false for a 404; nil changes nothing
}

// newListsProxy starts a proxy in front of the authorization server.
func newListsProxy(t *testing.T, authURL string) *listsProxy {
	t.Helper()
	p := &listsProxy{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.serve(w, r, authURL) }))
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

// serve responds with the list of the authorization server, or a changed one.
func (p *listsProxy) serve(w http.ResponseWriter, r *http.Request, authURL string) {
	p.mu.Lock()
	change := p.change
	p.mu.Unlock()
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, authURL+r.URL.Path, nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	if change == nil {
		req.Header.Set("If-None-Match", r.Header.Get("If-None-Match"))
	}
	resp, err := plain.Do(req)
	if err != nil {
		p.failed.Add(1)
		http.Error(w, "the authorization server is down", http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if change != nil {
		defer p.failed.Add(1)
		changed, ok := change(r.URL.Path, string(body))
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, changed)
		return
	}
	w.Header().Set("ETag", resp.Header.Get("ETag"))
	w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(body)
}

// use makes the proxy respond with changed lists; nil changes nothing.
func (p *listsProxy) use(change func(path, list string) (string, bool)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.change = change
}

// waitForFailures waits until the API has seen several responses that it may not use.
func (p *listsProxy) waitForFailures(t *testing.T, needed ...*process) {
	t.Helper()
	before := p.failed.Load()
	waitFor(t, "requests for the list that fail", func() bool { return p.failed.Load() > before+3 }, needed...)
}

// testKit runs all tests of a kit.
func testKit(t *testing.T, kit kitAPI) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, kitAPI){
		"contract":   testKitContract,
		"revocation": testKitRevocation,
		"rotation":   testKitRotation,
		"outage":     testKitOutage,
		"lists":      testKitLists,
		"clock":      testKitClock,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, kit)
		})
	}
}

// testKitContract checks what clients see, for a shared secret and for published keys.
func testKitContract(t *testing.T, kit kitAPI) {
	t.Helper()
	for _, algorithm := range []string{"HS256", "EdDSA", "ES256", "RS256"} {
		t.Run(algorithm, func(t *testing.T) {
			k := newKitSystem(t, kit, algorithm)
			k.startAPI(t)
			token := k.login(t, "john.doe", demoPassword)
			k.callMe(t, token, "John Doe")
			if got := send(t, k.apiURL, get("/items/42", "Bearer "+token)); got.status != http.StatusOK ||
				got.text(t, "owner") != "john.doe" {
				t.Errorf("GET /items/42: %d %s", got.status, got.body)
			}
			if got := send(t, k.apiURL, get("/items/abc")); got.status != http.StatusUnauthorized {
				t.Errorf("GET /items/abc without a token: %d, want 401", got.status)
			}
			k.checkMetadata(t)
			k.checkLogin(t, token)
			k.authserver.stop(t)
		})
	}
}

// checkLogin checks that the kit reads how the user has logged in, with a password, and asks for more where that is
// needed (RFC 9470 section 3).
func (k *kitSystem) checkLogin(t *testing.T, token string) {
	t.Helper()
	recent := send(t, k.apiURL, get("/recent", "Bearer "+token))
	if recent.status != http.StatusOK || recent.text(t, "acr") != "1" {
		t.Errorf("GET /recent: %d %s", recent.status, recent.body)
	}
	strong := send(t, k.apiURL, get("/strong", "Bearer "+token))
	challenge := strong.header.Get("WWW-Authenticate")
	if strong.status != http.StatusUnauthorized ||
		!strings.Contains(challenge, `error="insufficient_user_authentication"`) ||
		!strings.Contains(challenge, `acr_values="2", max_age="600"`) {
		t.Errorf("GET /strong: %d %s", strong.status, challenge)
	}
}

// checkMetadata checks that the challenge leads to the metadata, and that to the authorization server (RFC 9728
// section 5).
func (k *kitSystem) checkMetadata(t *testing.T) {
	t.Helper()
	refused := send(t, k.apiURL, get("/users/me"))
	if detail := refused.text(t, "detail"); detail != "Not authenticated" {
		t.Errorf("detail %q", detail)
	}
	want := k.apiURL + "/.well-known/oauth-protected-resource"
	challenge := refused.header.Get("WWW-Authenticate")
	if !strings.HasPrefix(challenge, "Bearer ") || !strings.Contains(challenge, `resource_metadata="`+want+`"`) {
		t.Errorf("challenge %s", challenge)
	}
	metadata := send(t, want, request{})
	if servers := fmt.Sprint(metadata.members(t)["authorization_servers"]); servers != "["+k.authURL+"]" {
		t.Errorf("metadata %s", metadata.body)
	}
}

// testKitRevocation checks that a revoked token is refused soon, and that others stay valid.
func testKitRevocation(t *testing.T, kit kitAPI) {
	t.Helper()
	k := newKitSystem(t, kit, "HS256")
	k.startAPI(t)
	johns, janes := k.login(t, "john.doe", demoPassword), k.login(t, "jane.smith", "anothersecurepass")
	k.callMe(t, johns, "John Doe")
	k.revoke(t, johns)
	k.callMe(t, janes, "Jane Smith")
	k.callMe(t, k.login(t, "john.doe", demoPassword), "John Doe")
}

// testKitRotation checks that nobody notices a rotation, whether the API follows a file or the published keys.
func testKitRotation(t *testing.T, kit kitAPI) {
	t.Helper()
	for _, algorithm := range []string{"HS256", "EdDSA"} {
		t.Run(algorithm, func(t *testing.T) {
			k := newKitSystem(t, kit, algorithm)
			k.startAPI(t)
			old := k.login(t, "john.doe", demoPassword)
			rotate := []string{"key", "rotate", k.keysFile, "--signs-after", "5s"}
			if file := k.keys["KEYS_FILE"]; file != "" {
				rotate = append(rotate, "--also", file)
			}
			mustCommand(t, "", "authserver", rotate...)
			waitFor(t, "the new key to sign", func() bool {
				fresh := k.login(t, "john.doe", demoPassword)
				k.callMe(t, old, "John Doe")
				k.callMe(t, fresh, "John Doe")
				return keyOf(t, fresh) != keyOf(t, old)
			}, k.authserver, k.api)
		})
	}
}

// testKitOutage checks that nobody notices that the authorization server is down for a while.
func testKitOutage(t *testing.T, kit kitAPI) {
	t.Helper()
	k := newKitSystem(t, kit, "EdDSA")
	k.startAPI(t)
	revoked, valid := k.login(t, "john.doe", demoPassword), k.login(t, "jane.smith", "anothersecurepass")
	k.callMe(t, valid, "Jane Smith")
	k.revoke(t, revoked)
	k.authserver.stop(t)
	for range 3 {
		k.lists.waitForFailures(t, k.api)
		k.callMe(t, valid, "Jane Smith")
		k.checkStatus(t, "a revoked token", revoked, http.StatusUnauthorized)
	}
	k.startAuthserver(t, "--demo")
	johns := k.login(t, "john.doe", demoPassword)
	k.callMe(t, johns, "John Doe")
	k.revoke(t, johns)
}

// badLists returns lists that no kit may use, by what is wrong.
func (k *kitSystem) badLists(t *testing.T) map[string]func(path, list string) (string, bool) {
	t.Helper()
	sign := func(file []byte, uri string, expires time.Duration) string {
		ring, err := keyring.Parse(file)
		if err != nil {
			t.Fatal(err)
		}
		key, err := ring.Signer(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		list, err := statuslist.Sign(statuslist.Token{
			URI: uri, IssuedAt: now, ExpiresAt: now.Add(expires), TTL: time.Second, List: statuslist.NewList(1 << 20),
		}, key)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	own, err := os.ReadFile(k.keysFile)
	if err != nil {
		t.Fatal(err)
	}
	strangers, err := keyring.Generate(keyring.EdDSA, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]func(path, list string) (string, bool){
		"missing": func(string, string) (string, bool) { return "", false },
		"stale":   func(path, _ string) (string, bool) { return sign(own, k.authURL+path, -time.Minute), true },
		"forged":  func(path, _ string) (string, bool) { return sign(strangers, k.authURL+path, time.Hour), true },
		"another": func(path, _ string) (string, bool) { return sign(own, k.authURL+path+"9", time.Hour), true },
		"cut":     func(_, list string) (string, bool) { return list[:len(list)/2], true },
	}
}

// testKitLists checks that a bad list does not replace the copy, and that without a copy tokens get 503.
func testKitLists(t *testing.T, kit kitAPI) {
	t.Helper()
	k := newKitSystem(t, kit, "EdDSA")
	k.startAPI(t)
	revoked, valid := k.login(t, "john.doe", demoPassword), k.login(t, "jane.smith", "anothersecurepass")
	k.callMe(t, revoked, "John Doe")
	k.revoke(t, revoked)
	for name, bad := range k.badLists(t) {
		k.lists.use(bad)
		k.lists.waitForFailures(t, k.api)
		k.checkStatus(t, "with a copy, and a list that is "+name, valid, http.StatusOK)
		k.checkStatus(t, "revoked, with a copy, and a list that is "+name, revoked, http.StatusUnauthorized)
		k.startAPI(t)
		got := k.call(t, valid)
		if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" ||
			got.header.Get("WWW-Authenticate") != "" {
			t.Errorf("without a copy, and a list that is %s: %d %v %s", name, got.status, got.header, got.body)
		}
		k.lists.use(nil)
		waitFor(t, "the API to accept the token", func() bool { return k.call(t, valid).status == http.StatusOK }, k.api)
		k.checkStatus(t, "a revoked token", revoked, http.StatusUnauthorized)
	}
}

// testKitClock checks that an API whose clock is a minute wrong accepts tokens and knows revocations.
func testKitClock(t *testing.T, kit kitAPI) {
	t.Helper()
	k := newKitSystem(t, kit, "EdDSA")
	for _, ahead := range []string{"60", "-60"} {
		k.startAPI(t, "CLOCK_AHEAD", ahead)
		token := k.login(t, "john.doe", demoPassword)
		k.callMe(t, token, "John Doe")
		k.revoke(t, token)
	}
}
