package keyring_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// generated returns the ring of a new key, and its set.
func generated(t *testing.T, algorithm string) (*keyring.Ring, []byte) {
	t.Helper()
	data, err := keyring.Generate(algorithm, start, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.Parse(data)
	if err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	return ring, data
}

// Each algorithm works with Generate, Parse, Public and ParsePublic.
func TestAlgorithms(t *testing.T) {
	for _, algorithm := range keyring.Algorithms {
		ring, _ := generated(t, algorithm)
		signer, err := ring.Signer(start)
		if err != nil || signer.Algorithm != algorithm || signer.SigningKey() == nil || signer.VerificationKey() == nil {
			t.Errorf("%s: %v, %v", algorithm, signer, err)
			continue
		}
		public, err := ring.Public(start)
		if err != nil {
			t.Fatal(err)
		}
		if algorithm == keyring.HS256 {
			if string(public) != `{"keys":[]}` {
				t.Errorf("a shared secret is published: %s", public)
			}
			continue
		}
		half, err := keyring.ParsePublic(public)
		if err != nil {
			t.Errorf("%s: the public half cannot be read: %v", algorithm, err)
			continue
		}
		if _, err := half.Signer(start); !errors.Is(err, keyring.ErrNoSigner) {
			t.Errorf("%s: the public half signs: %v", algorithm, err)
		}
		if k, ok := half.Verifier(signer.ID, start); !ok || k.Algorithm != algorithm {
			t.Errorf("%s: the public half has the key %v", algorithm, k)
		}
		var set struct{ Keys []map[string]any }
		if err := json.Unmarshal(public, &set); err != nil || set.Keys[0]["d"] != nil || set.Keys[0]["k"] != nil {
			t.Errorf("%s: published: %s", algorithm, public)
		}
	}
	if _, err := keyring.Generate("HS512", start, rand.Reader); err == nil {
		t.Error("a key for HS512 was made")
	}
}

func TestParseRefusesWeakKeys(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		key  jose.JSONWebKey
		want error
	}{
		"RSA of 1024 bits": {jose.JSONWebKey{Key: small, KeyID: "a"}, keyring.ErrWeakKey},
		"P-384":            {jose.JSONWebKey{Key: curve, KeyID: "a"}, keyring.ErrBadRing},
	} {
		raw, err := json.Marshal(tt.key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := keyring.Parse([]byte(set(string(raw)))); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

// ParsePublic refuses keys that can sign.
func TestParsePublicRefusesSecrets(t *testing.T) {
	for _, algorithm := range keyring.Algorithms {
		_, whole := generated(t, algorithm)
		if _, err := keyring.ParsePublic(whole); !errors.Is(err, keyring.ErrBadRing) {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
}

// A URL has no key before the first fetch, and keeps its keys while fetches fail. Many tokens with an
// unknown kid cause one fetch.
func TestURL(t *testing.T) {
	ring, _ := generated(t, keyring.EdDSA)
	public, err := ring.Public(start)
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	var broken atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		if broken.Load() {
			http.Error(w, "no", http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(public)
	}))
	defer server.Close()
	source, err := keyring.NewURL(server.URL, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if source.Current().Len() != 0 || !source.Pending() {
		t.Error("keys before the first fetch, or no fetch pending")
	}
	go source.Watch(t.Context())
	eventually(t, "the keys", func() bool { return source.Current().Len() == 1 })
	first := source.Current()

	broken.Store(true)
	before := asked.Load()
	for range 1000 { // of which one causes a fetch
		source.Pending()
	}
	eventually(t, "another fetch", func() bool { return asked.Load() > before })
	if asked.Load() > before+1 || source.Current() != first {
		t.Errorf("%d fetches; the keys changed: %v", asked.Load()-before, source.Current() != first)
	}
}

// A fetch that had begun before it was requested does not count: its response may lack the new key.
func TestURLRequestDuringFetch(t *testing.T) {
	ring, _ := generated(t, keyring.EdDSA)
	public, err := ring.Public(start)
	mustNot(t, err)
	synctest.Test(t, func(t *testing.T) {
		source, err := keyring.NewURL("https://login.test/jwks.json", slog.New(slog.DiscardHandler))
		mustNot(t, err)
		fetches := 0
		keyring.SetTransport(source, roundTrip(func() string {
			if fetches++; fetches == 2 && !source.Pending() {
				t.Error("a request for a fetch is refused")
			}
			if fetches == 3 && !source.Pending() {
				t.Error("the fetch before the request counts as the requested one")
			}
			return string(public)
		}))
		go source.Watch(t.Context())
		time.Sleep(3 * time.Minute) // of fake time; the second fetch is a scheduled one
		synctest.Wait()
		if fetches < 3 {
			t.Errorf("%d fetches, want at least 3", fetches)
		}
	})
}

// Each failed fetch is logged and counted. The log says whether there are keys in use, and that a server
// publishes no public key.
func TestURLWarnings(t *testing.T) {
	ring, _ := generated(t, keyring.EdDSA)
	public, err := ring.Public(start)
	mustNot(t, err)
	synctest.Test(t, func(t *testing.T) {
		answers := []string{"", "", `{"keys":[]}`, `{"keys":[]}`, string(public), "", ""}
		var asked int
		var log bytes.Buffer
		source, err := keyring.NewURL("https://login.test/jwks.json", slog.New(slog.NewTextHandler(&log, nil)))
		mustNot(t, err)
		keyring.SetTransport(source, roundTrip(func() string { asked++; return answers[min(asked, len(answers))-1] }))
		ctx, cancel := context.WithCancel(t.Context())
		go source.Watch(ctx)
		time.Sleep(110 * time.Second)
		cancel()
		synctest.Wait()
		var told []string
		for line := range strings.Lines(log.String()) {
			_, said, _ := strings.Cut(line, "msg=")
			told = append(told, strings.TrimSpace(said))
		}
		const url = ` url=https://login.test/jwks.json`
		const absent = `"keys not fetched: no token can be verified until they are"` + url
		const unavailable = ` error="the response is 503 Service Unavailable"`
		const nonePublished = ` error="the authorization server publishes no public key: ` +
			`it signs with a shared secret, which a keys file can hold"`
		const stale = `"keys not fetched: those fetched last stay in use"` + url + unavailable
		want := []string{
			absent + unavailable,
			absent + unavailable,
			absent + nonePublished,
			absent + nonePublished,
			`"keys fetched again"` + url,
			stale, stale, stale, stale, stale,
		}
		if h := source.Health(); h.Err == nil || h.Failures != 9 || h.Read.IsZero() {
			t.Errorf("health %+v", h)
		}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	})
}

// roundTrip responds with a text, or with 503 if it is empty.
type roundTrip func() string

func (f roundTrip) RoundTrip(*http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if text := f(); text != "" {
		_, _ = w.WriteString(text)
	} else {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	return w.Result(), nil
}

// eventually waits until done returns true.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited 5 minutes for %s", what)
		}
	}
}

// Keys come only from the configured address: a redirect is an error.
func TestURLFollowsNoRedirect(t *testing.T) {
	ring, _ := generated(t, keyring.EdDSA)
	public, err := ring.Public(start)
	mustNot(t, err)
	var elsewhere atomic.Int64
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		elsewhere.Add(1)
		_, _ = w.Write(public)
	}))
	defer target.Close()
	server := httptest.NewServer(http.RedirectHandler(target.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	log := new(logLines)
	source, err := keyring.NewURL(server.URL, slog.New(slog.NewTextHandler(log, nil)))
	mustNot(t, err)
	go source.Watch(t.Context())
	var said string
	eventually(t, "the refusal", func() bool { said += log.take(); return said != "" })
	if source.Current().Len() != 0 || elsewhere.Load() != 0 || !strings.Contains(said, "307 Temporary Redirect") {
		t.Errorf("%d keys, %d requests elsewhere, logged %s", source.Current().Len(), elsewhere.Load(), said)
	}
}

// Keys come over TLS, or from this machine (RFC 8725 section 3.10, RFC 9700 section 2.6). The error does not
// quote an address, which may have a password.
func TestNewURLRefuses(t *testing.T) {
	for address, says := range map[string]string{
		"": "jwks.json", "jwks.json": "jwks.json", "file:///etc/passwd": "jwks.json", "ftp://x.test/k": "jwks.json",
		"https://": "jwks.json", "https://:443/": "jwks.json", "https://x.test:hunter2/": "jwks.json",
		"https://me:hunter2@x.test/k":      "password",
		"http://login.test/jwks.json":      "https://",
		"HTTP://login.test/jwks.json":      "https://",
		"http://10.0.0.1/k":                "https://",
		"http://authserver:9000/jwks.json": "https://",
		"http://0.0.0.0/k":                 "https://",
		"http://[::]/k":                    "https://",
		"http://[fe80::1]/k":               "https://",
		"http://127.0.0.1.evil.test/k":     "https://",
		"http://localhost.evil.test/k":     "https://",
		"http://2130706433/k":              "https://",
		"http://x.test/127.0.0.1":          "https://",
	} {
		_, err := keyring.NewURL(address, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", address, err)
		}
	}
	for _, address := range []string{
		"https://login.test/jwks.json", "http://127.0.0.1:9000/jwks.json", "http://127.8.9.10/k", "http://[::1]:9000/k",
		"http://localhost:9000/k", "http://LocalHost/k",
	} {
		if _, err := keyring.NewURL(address, slog.New(slog.DiscardHandler)); err != nil {
			t.Errorf("%q: %v", address, err)
		}
	}
}
