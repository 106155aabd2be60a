package keyring_test

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// publicKey returns a new public key whose schedule is in the members.
func publicKey(t *testing.T, kid string, members map[string]any) string {
	t.Helper()
	_, text := generated(t, keyring.EdDSA)
	var all map[string]any
	if err := json.Unmarshal([]byte(raws(t, text)[0]), &all); err != nil {
		t.Fatal(err)
	}
	delete(all, "nbf")
	all["kid"] = kid
	for name, value := range members {
		all[name] = value
	}
	data, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// The published set has the schedule of the ring, without keys that have ended.
func TestPublicHasTheSchedule(t *testing.T) {
	before, after := start.Add(-time.Hour).Unix(), start.Add(time.Hour).Unix()
	ring := parse(t, set(
		publicKey(t, "always", nil),
		publicKey(t, "over", map[string]any{"exp": before}),
		publicKey(t, "over now", map[string]any{"exp": start.Unix()}),
		publicKey(t, "ending", map[string]any{"nbf": before, "exp": after}),
		publicKey(t, "coming", map[string]any{"nbf": after, "aud": billing}),
		oct("secret"),
	))
	text, err := ring.Public(start)
	if err != nil {
		t.Fatal(err)
	}
	public, err := keyring.ParsePublic(text)
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	for id, want := range map[string]bool{"always": true, "over": false, "over now": false, "ending": true,
		"coming": true, "secret": false} {
		// At the beginning of time, so that it is what was published that counts.
		got, ok := public.Verifier(id, time.Unix(1, 0))
		if ok != want {
			t.Errorf("%s is published: %v", id, ok)
			continue
		}
		if !ok {
			continue
		}
		mine, ok := ring.Verifier(id, start)
		if !ok {
			t.Fatalf("%s is not in the ring", id)
		}
		schedule := func(k *keyring.Key) string {
			return fmt.Sprint(k.Algorithm, k.Audience, k.SignsFrom.Unix(), k.VerifiesUntil.Unix())
		}
		if diff := cmp.Diff(schedule(mine), schedule(got)); diff != "" {
			t.Errorf("%s (-ring +published):\n%s", id, diff)
		}
	}
	if public.Len() != 3 {
		t.Errorf("%d keys are published", public.Len())
	}
	if _, ok := public.Verifier("ending", start.Add(time.Hour)); ok {
		t.Error("a published key verifies after its end")
	}
	if text, err := ring.Public(start.Add(time.Hour)); err != nil || strings.Contains(string(text), `"ending"`) {
		t.Errorf("an hour later: %s, %v", text, err)
	}
}

// An API gets its own keys, unchanged, and none of other APIs.
func TestForAPI(t *testing.T) {
	kept := []string{oct("a", `"nbf":1700000000`, `"note":"kept","large":12345678901234567890`), oct("c")}
	bound := oct("b", `"aud":"https://b.example"`)
	for name, text := range map[string]string{"mixed": set(kept[0], bound, kept[1]), "nothing bound": set(kept...)} {
		got, err := keyring.ForAPI([]byte(text), "")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(kept, raws(t, got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if _, err := keyring.Parse(got); err != nil || !strings.HasSuffix(string(got), "}\n") {
			t.Errorf("%s: %v of %s", name, err, got)
		}
		if keyring.IsExport([]byte(text)) || !keyring.IsExport(got) {
			t.Errorf("%s: not marked as the file of an API: %s", name, got)
		}
	}
	if got, err := keyring.ForAPI([]byte(set(bound)), ""); !errors.Is(err, keyring.ErrNoKey) || len(got) != 0 {
		t.Errorf("all bound: %s, %v", got, err)
	}
	for name, text := range map[string]string{"no JSON": "x", "no keys": set(),
		"a bad key": set(oct("a"), oct("a"))} {
		got, err := keyring.ForAPI([]byte(text), "")
		if !errors.Is(err, keyring.ErrBadRing) || len(got) != 0 {
			t.Errorf("%s: %s, %v", name, got, err)
		}
		if err != nil && strings.Contains(err.Error(), encodedMaterial) {
			t.Errorf("%s: the secret is in %v", name, err)
		}
	}
}

// An API gets the public half of key pairs, and only of its own keys.
func TestForAPIGetsNoPrivateHalf(t *testing.T) {
	const mine, others = "https://a.example", "https://b.example"
	secret := oct("secret", `"aud":"`+mine+`"`)
	for _, algorithm := range []string{keyring.EdDSA, keyring.ES256, keyring.RS256} {
		whole, err := keyring.Generate(algorithm, start, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		asymmetric := raws(t, whole)[0]
		bound := strings.Replace(asymmetric, "{", `{"aud":"`+others+`",`, 1)
		unbound, err := keyring.ForAPI([]byte(set(asymmetric, secret)), "")
		if err != nil {
			t.Fatal(err)
		}
		own, err := keyring.ForAPI([]byte(set(bound, oct("other"))), others)
		if err != nil {
			t.Fatal(err)
		}
		for what, got := range map[string][]byte{"not bound": unbound, "bound": own} {
			ring := parse(t, string(got))
			if keys := ring.Keys(); len(keys) != 1 || keys[0].SigningKey() != nil || keys[0].Algorithm != algorithm ||
				!keys[0].SignsFrom.Equal(start) {
				t.Errorf("%s, %s: %s", algorithm, what, got)
			}
		}
	}
	got, err := keyring.ForAPI([]byte(set(oct("a"), secret)), mine)
	if diff := cmp.Diff([]string{secret}, raws(t, got)); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if got, err := keyring.ForAPI([]byte(set(oct("a"), secret)), others); !errors.Is(err, keyring.ErrNoKey) ||
		got != nil {
		t.Errorf("an API without a key: %s, %v", got, err)
	}
}

// Keys of other APIs and other members of the set are unchanged.
func TestRetire(t *testing.T) {
	const mine, others = "https://a.example", "https://b.example"
	end := start.Add(24 * time.Hour)
	kept := []string{
		oct("a", `"large":12345678901234567890`),
		oct("b", `"aud":"`+others+`"`),
		oct("c", `"aud":"`+mine+`"`, `"exp":`+fmt.Sprint(start.Unix())),
	}
	waiting := oct("e", `"aud":"`+mine+`"`, `"nbf":`+fmt.Sprint(start.Unix()+1))
	text := strings.Replace(set(append(kept, oct("d", `"aud":"`+mine+`"`), waiting)...), "{", `{"note":"of the file",`, 1)
	got, changed, err := keyring.Retire([]byte(text), mine, start, end)
	if err != nil || !changed {
		t.Fatal(changed, err)
	}
	if diff := cmp.Diff(kept, raws(t, got)[:3]); diff != "" || !strings.Contains(string(got), `"note": "of the file"`) {
		t.Errorf("left is %s (-want +got):\n%s", got, diff)
	}
	if keys := parse(t, string(got)).Keys(); len(keys) != 4 {
		t.Errorf("left are %d keys, with one that has not begun to sign, want 4", len(keys))
	}
	if d := parse(t, string(got)).Keys()[3]; d.ID != "d" || !d.VerifiesUntil.Equal(end) {
		t.Errorf("%v ends at %v, want %v", d, d.VerifiesUntil, end)
	}
	for _, nobody := range []string{"https://c.example", "", mine} {
		if again, changed, err := keyring.Retire(got, nobody, start, end); err != nil || changed ||
			string(again) != string(got) {
			t.Errorf("the keys of %q: %v, %v, %s", nobody, changed, err, again)
		}
	}
	if _, single, err := keyring.Add(got, keyring.HS256, mine, start, rand.Reader); err != nil || len(single) == 0 {
		t.Errorf("another key for the API: %v", err)
	}
	for name, text := range map[string]string{"no JSON": "x", "a bad key": set(oct("a"), oct("a"))} {
		if got, changed, err := keyring.Retire([]byte(text), mine, start, end); !errors.Is(err, keyring.ErrBadRing) ||
			changed || len(got) != 0 {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
}

func TestBoundToOther(t *testing.T) {
	const mine, others = "https://a.example", "https://b.example"
	forA, forB := oct("a", `"aud":"`+mine+`"`), oct("b", `"aud":"`+others+`"`)
	for name, tt := range map[string]struct {
		keys []string
		want string // empty: none
	}{
		"bound to none":    {[]string{oct("any")}, ""},
		"its own":          {[]string{oct("any"), forA}, ""},
		"another's":        {[]string{oct("any"), forB}, others},
		"its own as well":  {[]string{forA, forB}, others},
		"one that is over": {[]string{oct("any"), oct("b", `"aud":"`+others+`"`, `"exp":1`)}, others},
	} {
		got, ok := parse(t, set(tt.keys...)).BoundToOther(mine)
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: %q, %v, want %q", name, got, ok, tt.want)
		}
	}
}
