package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/program"
)

const podToken = "token-of-the-pod"

// inPod starts an API server with the keys of a new authorization server and its API, and makes this process a pod.
func inPod(t *testing.T) *kubernetes {
	t.Helper()
	folder := t.TempDir()
	server := filepath.Join(folder, "keys.json")
	if _, err := (apiKeys{}).create(server, keyring.HS256); err != nil {
		t.Fatal(err)
	}
	k := &kubernetes{
		versions: map[string]int{"keys": 7, "api": 9},
		secrets:  map[string][]byte{"keys": read(t, server), "api": read(t, apiKeys{}.path(server))},
	}
	ts := httptest.NewTLSServer(k)
	t.Cleanup(ts.Close)
	at, err := url.Parse(ts.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", at.Hostname())
	t.Setenv("KUBERNETES_SERVICE_PORT", at.Port())
	t.Setenv("TMPDIR", t.TempDir())
	account := t.TempDir()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ts.Certificate().Raw})
	for name, content := range map[string]string{
		"token": podToken + "\n", "namespace": "identity", "ca.crt": string(authority),
	} {
		if err := os.WriteFile(filepath.Join(account, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	accountFolder = account
	t.Cleanup(func() { accountFolder = "" })
	return k
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// rotateSecret runs the command. It checks that no file of keys is left and that no output has a secret.
func rotateSecret(t *testing.T, k *kubernetes, c *keyRotateSecretCommand) (string, error) {
	t.Helper()
	before := maps.Clone(k.secrets)
	var out bytes.Buffer
	c.Lifetime = 30 * time.Minute
	err := c.Run(t.Context(), program.Streams{Out: &out, Err: &out})
	if left, _ := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "*")); len(left) > 0 {
		t.Errorf("the command leaves %q", left)
	}
	text := out.String()
	if err != nil {
		text += err.Error()
	}
	for _, set := range before {
		var keys struct {
			Keys []struct {
				K string `json:"k"`
				D string `json:"d"`
			} `json:"keys"`
		}
		if err := json.Unmarshal(set, &keys); err != nil {
			t.Fatal(err)
		}
		for _, key := range keys.Keys {
			for _, secret := range []string{key.K, key.D, podToken} {
				if secret != "" && strings.Contains(text, secret) {
					t.Errorf("the output has a secret: %s", text)
				}
			}
		}
	}
	return text, err
}

// newKeys returns how many keys a Secret has that it did not have before.
func newKeys(t *testing.T, before, after []byte) (added int) {
	t.Helper()
	old, err := keyring.Parse(before)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.Parse(after)
	if err != nil {
		t.Fatal(err)
	}
	return ring.Len() - old.Len()
}

// The API's Secret gets the new key first: it must know a key before the authorization server signs with it. It gets an
// end for the previous key last: it must not refuse what the server still signs with.
func TestRotateSecretsInOrder(t *testing.T) {
	k := inPod(t)
	before := maps.Clone(k.secrets)
	out, err := rotateSecret(t, k, &keyRotateSecretCommand{Secret: "keys", APISecret: "api"})
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := strings.Join(k.writes, " "); got != "api keys api" {
		t.Errorf("written are %q, want the API's Secret first and last", got)
	}
	for name := range k.secrets {
		if n := newKeys(t, before[name], k.secrets[name]); n != 1 {
			t.Errorf("%s has %d new keys, want 1", name, n)
		}
	}
	if bytes.Contains(k.secrets["api"], []byte(`"d"`)) {
		t.Error("the API got a private key")
	}
}

// Keys for ID tokens are in no API's Secret.
func TestRotateSecretOfIDTokens(t *testing.T) {
	k := inPod(t)
	before := k.secrets["keys"]
	if out, err := rotateSecret(t, k, &keyRotateSecretCommand{Secret: "keys", IDTokens: true}); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := newKeys(t, before, k.secrets["keys"]); n != 1 || len(k.writes) != 1 {
		t.Errorf("%d new keys, and %q written; want 1 in keys", n, k.writes)
	}
}

// Somebody else's change between reading and writing stays, and the command can be repeated.
func TestRotateSecretLosesNoChange(t *testing.T) {
	k := inPod(t)
	c := &keyRotateSecretCommand{Secret: "keys", APISecret: "api"}
	k.between = func(k *kubernetes) { k.versions["api"]++ }
	if out, err := rotateSecret(t, k, c); err == nil || !strings.Contains(out, "changed meanwhile") {
		t.Errorf("error is %v, want a conflict\n%s", err, out)
	}
	if len(k.writes) != 0 {
		t.Errorf("written are %q, want none", k.writes)
	}
	if out, err := rotateSecret(t, k, c); err != nil {
		t.Errorf("the second attempt fails: %v\n%s", err, out)
	}
}

// Where one of the Secrets cannot be written, the API still accepts what the server signs, and so it does after the
// command was repeated.
func TestRotateSecretHalfDone(t *testing.T) {
	for _, stuck := range []string{"keys", "api"} {
		k := inPod(t)
		c := &keyRotateSecretCommand{Secret: "keys", APISecret: "api"}
		k.stuck = stuck
		if out, err := rotateSecret(t, k, c); err == nil {
			t.Fatalf("%s cannot be written, and there is no error\n%s", stuck, out)
		}
		checkServed(t, k)
		k.stuck = ""
		if out, err := rotateSecret(t, k, c); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		checkServed(t, k)
	}
}

// checkServed checks that the API's Secret has each key of the server's, and ends none of them earlier.
func checkServed(t *testing.T, k *kubernetes) {
	t.Helper()
	server, errServer := keyring.Parse(k.secrets["keys"])
	api, errAPI := keyring.Parse(k.secrets["api"])
	if err := errors.Join(errServer, errAPI); err != nil {
		t.Fatal(err)
	}
	known := map[string]*keyring.Key{}
	for _, key := range api.Keys() {
		known[key.ID] = key
	}
	for _, key := range server.Keys() {
		if key.ForIDTokens() {
			continue
		}
		if at := known[key.ID]; at == nil || !at.VerifiesUntil.IsZero() && !at.VerifiesUntil.Equal(key.VerifiesUntil) {
			t.Errorf("the API has %v for the server's %v", at, key)
		}
	}
}

// Each error says what is missing.
func TestRotateSecretErrors(t *testing.T) {
	answers := func(method string, status int) func(*kubernetes) {
		return func(k *kubernetes) { k.answer = map[string]int{method: status} }
	}
	idTokens := keyRotateSecretCommand{Secret: "keys", IDTokens: true}
	for name, test := range map[string]struct {
		prepare func(*kubernetes)
		command keyRotateSecretCommand
		want    string
	}{
		"no Secret":   {nil, keyRotateSecretCommand{Secret: "others"}, "no Secret others"},
		"no Role":     {answers(http.MethodGet, http.StatusForbidden), idTokens, "may not get Secret keys"},
		"no patch":    {answers(http.MethodPatch, http.StatusForbidden), idTokens, "may not patch Secret keys"},
		"redirect":    {answers(http.MethodGet, http.StatusTemporaryRedirect), idTokens, "responds with 307"},
		"not JSON":    {func(k *kubernetes) { k.secrets["keys"] = []byte("x") }, idTokens, "nothing was changed"},
		"no account":  {func(*kubernetes) { accountFolder = "/nonexistent" }, idTokens, "service account"},
		"no API file": {nil, keyRotateSecretCommand{Secret: "keys"}, "the API has a file of its own"},
	} {
		t.Run(name, func(t *testing.T) {
			k := inPod(t)
			if test.prepare != nil {
				test.prepare(k)
			}
			var out bytes.Buffer
			test.command.Lifetime = 30 * time.Minute
			err := test.command.Run(t.Context(), program.Streams{Out: &out, Err: &out})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want %q", err, test.want)
			}
			if len(k.writes) != 0 {
				t.Errorf("written are %q", k.writes)
			}
		})
	}
}

// A server whose certificate is of another authority gets no token.
func TestRotateSecretChecksTheServer(t *testing.T) {
	k := inPod(t)
	other := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the request reached another server")
	}))
	t.Cleanup(other.Close)
	at, err := url.Parse(other.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBERNETES_SERVICE_PORT", at.Port())
	// httptest has one certificate for all servers: trust another one.
	if err := os.WriteFile(filepath.Join(accountFolder, "ca.crt"), selfSigned(t), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := rotateSecret(t, k, &keyRotateSecretCommand{Secret: "keys"}); err == nil {
		t.Errorf("no error\n%s", out)
	}
}

// selfSigned returns the certificate of another authority.
func selfSigned(t *testing.T) []byte {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
}
