package keyring_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// publicKey writes a new asymmetric key that has no schedule but these members.
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

// What is published has the schedule of the ring, and no key that is over.
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
	for id, want := range map[string]bool{"always": true, "over": false, "over now": false, "ending": true, "coming": true, "secret": false} {
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

// An API gets every key but those of others, as they are written.
func TestWithoutTied(t *testing.T) {
	kept := []string{oct("a", `"nbf":1700000000`, `"note":"kept","large":12345678901234567890`), oct("c")}
	tied := oct("b", `"aud":"https://b.example"`)
	for name, text := range map[string]string{"mixed": set(kept[0], tied, kept[1]), "nothing tied": set(kept...)} {
		got, err := keyring.WithoutTied([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(kept, raws(t, got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if _, err := keyring.Parse(got); err != nil || !strings.HasSuffix(string(got), "}\n") {
			t.Errorf("%s: %v of %s", name, err, got)
		}
	}
	for name, text := range map[string]string{"all tied": set(tied), "no JSON": "x", "no keys": set(), "a bad key": set(oct("a"), oct("a"))} {
		got, err := keyring.WithoutTied([]byte(text))
		if !errors.Is(err, keyring.ErrBadRing) || len(got) != 0 {
			t.Errorf("%s: %s, %v", name, got, err)
		}
		if err != nil && strings.Contains(err.Error(), encodedMaterial) {
			t.Errorf("%s: the secret is in %v", name, err)
		}
	}
}

// What is not of the API stays as it is written, in the keys and beside them.
func TestRemove(t *testing.T) {
	const mine, others = "https://a.example", "https://b.example"
	kept := []string{oct("a", `"large":12345678901234567890`), oct("b", `"aud":"`+others+`"`)}
	text := strings.Replace(set(kept[0], oct("c", `"aud":"`+mine+`"`), kept[1], oct("d", `"aud":"`+mine+`"`)), "{", `{"note":"of the file",`, 1)
	if ring := parse(t, text); !ring.TiedTo(mine) || !ring.TiedTo(others) || ring.TiedTo("https://c.example") || ring.TiedTo("") {
		t.Error("TiedTo does not find the keys of APIs, or others")
	}
	got, err := keyring.Remove([]byte(text), mine)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(kept, raws(t, got)); diff != "" || !strings.Contains(string(got), `"note": "of the file"`) {
		t.Errorf("left is %s (-want +got):\n%s", got, diff)
	}
	for _, nobody := range []string{"https://c.example", ""} {
		if all, err := keyring.Remove(got, nobody); err != nil || string(all) != string(got) {
			t.Errorf("without the keys of %q: %v, %s", nobody, err, all)
		}
	}
	for name, text := range map[string]string{"nothing left": set(oct("a", `"aud":"`+mine+`"`)), "no JSON": "x", "a bad key": set(oct("a"), oct("a"))} {
		if got, err := keyring.Remove([]byte(text), mine); !errors.Is(err, keyring.ErrBadRing) || len(got) != 0 {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
}

func TestTiedElsewhere(t *testing.T) {
	const mine, others = "https://a.example", "https://b.example"
	forA, forB := oct("a", `"aud":"`+mine+`"`), oct("b", `"aud":"`+others+`"`)
	for name, tt := range map[string]struct {
		keys []string
		want string // empty: none
	}{
		"tied to none":     {[]string{oct("any")}, ""},
		"its own":          {[]string{oct("any"), forA}, ""},
		"another's":        {[]string{oct("any"), forB}, others},
		"its own as well":  {[]string{forA, forB}, others},
		"one that is over": {[]string{oct("any"), oct("b", `"aud":"`+others+`"`, `"exp":1`)}, others},
	} {
		got, ok := parse(t, set(tt.keys...)).TiedElsewhere(mine)
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: %q, %v, want %q", name, got, ok, tt.want)
		}
	}
}
