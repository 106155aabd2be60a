package keyring_test

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// serverSet returns the set of an authorization server: a secret, and a key for ID tokens of each algorithm.
func serverSet(t *testing.T, now time.Time, algorithms ...string) []byte {
	t.Helper()
	set, err := keyring.Generate(keyring.HS256, now, rand.Reader)
	for _, algorithm := range algorithms {
		if err == nil {
			set, _, err = keyring.AddIDTokenKey(set, algorithm, now, rand.Reader)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func mustParse(t *testing.T, set []byte) *keyring.Ring {
	t.Helper()
	ring, err := keyring.Parse(set)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// A key for ID tokens signs nothing else, and no other key signs ID tokens.
func TestIDTokenKeys(t *testing.T) {
	now := time.Now()
	ring := mustParse(t, serverSet(t, now, keyring.IDTokenAlgorithms...))
	if got := ring.IDTokenAlgorithms(now); !slices.Equal(got, keyring.IDTokenAlgorithms) {
		t.Errorf("algorithms %v, want %v", got, keyring.IDTokenAlgorithms)
	}
	for _, algorithm := range keyring.IDTokenAlgorithms {
		key, err := ring.IDTokenSigner(algorithm, now)
		if err != nil || key.Algorithm != algorithm || !key.ForIDTokens() {
			t.Errorf("%s: %v, %v", algorithm, key, err)
		}
		if _, err := ring.IDTokenSigner(algorithm, now.Add(-time.Hour)); !errors.Is(err, keyring.ErrNoSigner) {
			t.Errorf("%s: %v, want no signer before its start", algorithm, err)
		}
	}
	if key, err := ring.Signer(now); err != nil || key.Algorithm != keyring.HS256 || key.ForIDTokens() {
		t.Errorf("access tokens are signed with %v, %v", key, err)
	}
	if key, err := ring.SignerFor("https://api.example", now); !errors.Is(err, keyring.ErrNoSigner) {
		t.Errorf("tokens of another API are signed with %v, %v", key, err)
	}
	if other, ok := ring.BoundToOther(""); ok {
		t.Errorf("bound to %s, want no API", other)
	}
	access := mustParse(t, serverSet(t, now))
	if got := access.IDTokenAlgorithms(now); got != nil {
		t.Errorf("a secret signs ID tokens: %v", got)
	}
	if _, _, err := keyring.AddIDTokenKey(serverSet(t, now, keyring.RS256), keyring.RS256, now, rand.Reader); err == nil {
		t.Error("a second first key is added")
	}
	if _, _, err := keyring.AddIDTokenKey(serverSet(t, now), keyring.HS256, now, rand.Reader); err == nil {
		t.Error("a shared secret is added for ID tokens")
	}
}

// The API's file has no key for ID tokens. The published set has their public halves, before they sign and
// until they end.
func TestIDTokenKeysArePublishedAndNotExported(t *testing.T) {
	now := time.Now()
	set := serverSet(t, now.Add(20*time.Minute), keyring.RS256)
	exported, err := keyring.ForAPI(set, "")
	if err != nil || strings.Contains(string(exported), "RSA") {
		t.Errorf("the API's file is %s, %v", exported, err)
	}
	public, err := mustParse(t, set).Public(now)
	if err != nil {
		t.Fatal(err)
	}
	published, err := keyring.ParsePublic(public)
	if err != nil || published.Len() != 1 || !published.Keys()[0].ForIDTokens() {
		t.Errorf("published %s, %v, want the key for ID tokens before it signs", public, err)
	}
	next, err := keyring.NewSuccessor(keyring.RS256, keyring.IDTokenAudience(keyring.RS256), now.Add(time.Hour),
		now.Add(2*time.Hour), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rotated, err := keyring.Rotate(set, next, now.Add(30*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		at   time.Duration
		want int
	}{{31 * time.Minute, 2}, {119 * time.Minute, 2}, {121 * time.Minute, 1}} {
		public, err := mustParse(t, rotated).Public(now.Add(tt.at))
		if err != nil || strings.Count(string(public), `"kid"`) != tt.want {
			t.Errorf("after %v: %s, %v, want %d keys", tt.at, public, err, tt.want)
		}
	}
}

// A server that signs access tokens with a secret publishes keys for ID tokens only. An API that wants to
// fetch its keys must still be told that it publishes no key for it.
func TestURLWithKeysForIDTokensOnly(t *testing.T) {
	public, err := mustParse(t, serverSet(t, time.Now(), keyring.RS256)).Public(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(public) }))
	defer server.Close()
	log := new(logLines)
	keys, err := keyring.NewURL(server.URL, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	go keys.Watch(t.Context())
	eventually(t, "the reason", func() bool { return strings.Contains(log.take(), "it signs with a shared secret") })
	if keys.Current().Len() != 0 {
		t.Errorf("the ring has %d keys, want none", keys.Current().Len())
	}
}
