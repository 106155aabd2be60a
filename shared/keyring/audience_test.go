package keyring_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/keyring"
)

const billing = "https://billing.example/?a=1&b=<2>"

// added calls Add for billing and parses the results.
func added(t *testing.T, text, algorithm string) (ring, single *keyring.Ring, ringText, singleText []byte) {
	t.Helper()
	ringText, singleText, err := keyring.Add([]byte(text), algorithm, billing, start, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(ringText)), parse(t, string(singleText)), ringText, singleText
}

// raws returns the keys of a set as written, without spaces.
func raws(t *testing.T, text []byte) []string {
	t.Helper()
	var doc struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, key := range doc.Keys {
		var b bytes.Buffer
		if err := json.Compact(&b, key); err != nil {
			t.Fatal(err)
		}
		all = append(all, b.String())
	}
	return all
}

// Add adds a key for one API and leaves everything else unchanged.
func TestAdd(t *testing.T) {
	for _, algorithm := range keyring.Algorithms {
		old := []string{
			oct("a", `"nbf":1700000000`, `"large":12345678901234567890`, `"real":1.0`, `"power":1e3`, `"note":"ü & 😀"`),
			oct("b", `"aud":"https://other.example"`, `"exp":1900000000`, `"deep":{"b":[1,{"a":null}],"a":0.1}`),
		}
		text := `{"note":"kept","keys":[` + strings.Join(old, ",") + `],"version":12345678901234567890}`
		ring, single, ringText, singleText := added(t, text, algorithm)

		got := raws(t, ringText)
		if diff := cmp.Diff(old, readable(got[:2])); diff != "" || len(got) != 3 {
			t.Errorf("%s: %d keys, the old ones (-want +got):\n%s", algorithm, len(got), diff)
		}
		for _, member := range []string{`"note": "kept"`, `"version": 12345678901234567890`} {
			if !strings.Contains(string(ringText), member) {
				t.Errorf("%s: %s is not in\n%s", algorithm, member, ringText)
			}
		}
		if diff := cmp.Diff(got[2:], raws(t, singleText)); diff != "" {
			t.Errorf("%s: key in the ring and in the set of the API (-ring +set):\n%s", algorithm, diff)
		}
		if !bytes.HasSuffix(ringText, []byte("}\n")) || !bytes.HasSuffix(singleText, []byte("}\n")) {
			t.Errorf("%s: a file does not end in a newline", algorithm)
		}
		for name, r := range map[string]*keyring.Ring{"the ring": ring, "the API's own": single} {
			key, err := r.SignerFor(billing, start)
			if err != nil || key.Audience != billing || key.Algorithm != algorithm || !key.SignsFrom.Equal(start) {
				t.Errorf("%s: %s signs for billing with %v, %v", algorithm, name, key, err)
			}
		}
		if _, err := single.Signer(start); !errors.Is(err, keyring.ErrNoSigner) {
			t.Errorf("%s: the key of an API signs for others: %v", algorithm, err)
		}
		if key, err := ring.Signer(start); err != nil || key.ID != "a" {
			t.Errorf("%s: tokens for the default API are signed with %v, %v", algorithm, key, err)
		}
	}
}

// readable undoes the HTML escapes of encoding/json.
func readable(texts []string) []string {
	for i := range texts {
		texts[i] = strings.NewReplacer(`\u0026`, "&", `\u003c`, "<", `\u003e`, ">").Replace(texts[i])
	}
	return texts
}

// Add generates a new key each time.
func TestAddMakesNewKeys(t *testing.T) {
	_, one, _, _ := added(t, set(oct("a")), keyring.HS256)
	_, other, _, _ := added(t, set(oct("a")), keyring.HS256)
	first, err := one.SignerFor(billing, start)
	if err != nil {
		t.Fatal(err)
	}
	second, err := other.SignerFor(billing, start)
	if err != nil {
		t.Fatal(err)
	}
	if first.ID == second.ID || bytes.Equal(first.Secret(), second.Secret()) || string(first.Secret()) == material {
		t.Errorf("the keys %s and %s", first, second)
	}
}

func TestAddRefuses(t *testing.T) {
	bound := set(oct("a"), oct("b", `"aud":"`+`https://billing.example/?a=1&b=<2>`+`"`))
	for name, tt := range map[string]struct{ set, algorithm, audience, says string }{
		"a second key for one API":     {bound, keyring.HS256, billing, "has a key for https://billing.example"},
		"one of another kind":          {bound, keyring.EdDSA, billing, "has a key for"},
		"no API":                       {set(oct("a")), keyring.HS256, "", "needs an audience"},
		"no set":                       {"", keyring.HS256, billing, "JSON"},
		"an empty set":                 {set(), keyring.HS256, billing, "no keys"},
		"a set with a bad key":         {set(oct("a"), oct("a")), keyring.HS256, billing, "same kid"},
		"a set by another name":        {`{"Keys":[` + oct("a") + `]}`, keyring.HS256, billing, "JSON of the form"},
		"a set by two names":           {`{"Keys":[` + oct("a") + `],"keys":[` + oct("a") + "," + oct("b") + `],"KEYS":[` + oct("c") + `]}`, keyring.HS256, billing, "JSON of the form"},
		"an algorithm that is unknown": {set(oct("a")), "HS512", billing, "HS512"},
	} {
		ring, single, err := keyring.Add([]byte(tt.set), tt.algorithm, tt.audience, start, rand.Reader)
		if err == nil || ring != nil || single != nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want an error that says %q\n%s%s", name, err, tt.says, ring, single)
		}
		if tt.algorithm != "HS512" && !errors.Is(err, keyring.ErrBadRing) {
			t.Errorf("%s: %v is not ErrBadRing", name, err)
		}
		if err != nil && (strings.Contains(err.Error(), material) || strings.Contains(err.Error(), encodedMaterial)) {
			t.Errorf("%s: the secret is in %v", name, err)
		}
	}
	noEntropy := iotest.ErrReader(errors.New("no entropy"))
	ring, single, err := keyring.Add([]byte(set(oct("a"))), keyring.HS256, billing, start, noEntropy)
	if err == nil || ring != nil || single != nil {
		t.Errorf("without randomness: %s, %s, %v", ring, single, err)
	}
}

// The member aud binds a key to an API (an additional member, RFC 7517 section 4).
func TestParseAudience(t *testing.T) {
	ring := parse(t, set(
		oct("any"),
		oct("empty", `"aud":""`),
		oct("null", `"aud":null`),
		oct("bound", `"aud":"https://api.example"`),
	))
	for id, want := range map[string]string{"any": "", "empty": "", "null": "", "bound": "https://api.example"} {
		if key, ok := ring.Verifier(id, start); !ok || key.Audience != want {
			t.Errorf("%s is for %q, want %q", id, key.Audience, want)
		}
	}
	for _, bad := range []string{`["https://api.example"]`, `1`, `true`, `{}`} {
		if _, err := keyring.Parse([]byte(set(oct("a", `"aud":`+bad)))); !errors.Is(err, keyring.ErrBadRing) {
			t.Errorf("aud %s: %v", bad, err)
		}
	}
}

// A shared secret that is bound to no API does not sign for an API that does not have it.
func TestSignerFor(t *testing.T) {
	public := func(kid string, members ...string) string {
		_, text := generated(t, keyring.EdDSA)
		key := raws(t, text)[0]
		var all map[string]any
		if err := json.Unmarshal([]byte(key), &all); err != nil {
			t.Fatal(err)
		}
		all["kid"] = kid
		delete(all, "nbf")
		data, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(append([]string{string(data[:len(data)-1])}, members...), ",") + "}"
	}
	forA, forB := `"aud":"https://a.example"`, `"aud":"https://b.example"`
	past, future := `"exp":1700000000`, `"nbf":1900000000`
	for name, tt := range map[string]struct {
		keys []string
		want string // nothing: ErrNoSigner
	}{
		"its own secret":                     {[]string{oct("any"), oct("a", forA), oct("b", forB)}, "a"},
		"no secret of its own":               {[]string{oct("any"), oct("b", forB)}, ""},
		"one that does not sign yet":         {[]string{oct("any"), oct("a", forA, future)}, ""},
		"the later of its own":               {[]string{oct("a", forA), oct("a2", forA, `"nbf":1700000000`), oct("a3", forA, future)}, "a2"},
		"an asymmetric one for any":          {[]string{oct("any"), public("public")}, "public"},
		"its own before one for any":         {[]string{public("public", `"nbf":1700000000`), oct("a", forA)}, "a"},
		"one for any where its own is past":  {[]string{public("public"), oct("a", forA, past)}, "public"},
		"an asymmetric one of its own":       {[]string{public("public"), public("a", forA)}, "a"},
		"an asymmetric one of somebody else": {[]string{oct("any"), public("b", forB)}, ""},
		"an audience in other letters":       {[]string{oct("any"), oct("a", `"aud":"https://A.example"`), oct("a2", `"aud":"https://a.example/"`)}, ""},
	} {
		key, err := parse(t, set(tt.keys...)).SignerFor("https://a.example", start)
		if tt.want == "" && (!errors.Is(err, keyring.ErrNoSigner) || key != nil) ||
			tt.want != "" && (err != nil || key.ID != tt.want) {
			t.Errorf("%s: %v, %v, want %q", name, key, err, tt.want)
		}
	}
	if key, err := parse(t, set(oct("any"))).SignerFor("", start); !errors.Is(err, keyring.ErrNoSigner) {
		t.Errorf("no API: %v, %v", key, err)
	}
	if key, err := parse(t, set(oct("a", forA))).Signer(start.Add(time.Hour)); !errors.Is(err, keyring.ErrNoSigner) {
		t.Errorf("a bound key signs for every API: %v, %v", key, err)
	}
}

// A secret bound to an API is not published, and the published half of a bound key pair keeps its aud.
func TestPublicOfBoundKeys(t *testing.T) {
	_, _, text, _ := added(t, set(oct("a")), keyring.HS256)
	public, err := parse(t, string(text)).Public(start)
	if err != nil || string(public) != `{"keys":[]}` {
		t.Errorf("%s, %v", public, err)
	}
}
