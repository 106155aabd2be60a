package keyring_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// successor returns a key that signs in five minutes, and retires the older ones in an hour.
func successor(t *testing.T, algorithm, audience string) *keyring.Successor {
	t.Helper()
	s, err := keyring.NewSuccessor(algorithm, audience, start.Add(5*time.Minute), start.Add(time.Hour), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// states returns the state of each key of a set.
func states(ring *keyring.Ring, now time.Time) string {
	var all []string
	for _, k := range ring.Keys() {
		all = append(all, k.ID+" "+string(ring.StateOf(k, now)))
	}
	return strings.Join(all, ", ")
}

// At every time of a rotation, the key that signs verifies, and so does each key that has signed.
func TestRotate(t *testing.T) {
	for _, algorithm := range keyring.Algorithms {
		next := successor(t, algorithm, "")
		rotated, err := keyring.Rotate([]byte(set(oct("old"))), next, start)
		if err != nil {
			t.Fatal(err)
		}
		ring := parse(t, string(rotated))
		for _, row := range []struct {
			after     time.Duration
			old, next keyring.State
		}{
			{0, keyring.Signing, keyring.Waiting},
			{5*time.Minute - time.Second, keyring.Signing, keyring.Waiting},
			{5 * time.Minute, keyring.Verifying, keyring.Signing},
			{time.Hour - time.Second, keyring.Verifying, keyring.Signing},
			{time.Hour, keyring.Over, keyring.Signing},
			{24 * time.Hour, keyring.Over, keyring.Signing},
		} {
			now := start.Add(row.after)
			want := fmt.Sprintf("old %s, %s %s", row.old, next.ID, row.next)
			if got := states(ring, now); got != want {
				t.Errorf("%s after %v: %s, want %s", algorithm, row.after, got, want)
			}
			for _, k := range ring.Keys() {
				state := ring.StateOf(k, now)
				if _, verifies := ring.Verifier(k.ID, now); verifies != (state != keyring.Over) {
					t.Errorf("%s after %v: %v is %s, and verifies: %v", algorithm, row.after, k, state, verifies)
				}
				if signer, err := ring.Signer(now); err != nil || (signer == k) != (state == keyring.Signing) {
					t.Errorf("%s after %v: %v is %s, and %v signs (%v)", algorithm, row.after, k, state, signer, err)
				}
			}
		}
	}
}

// Only the replaced keys change, and only their end.
func TestRotateChangesOnlyReplacedKeys(t *testing.T) {
	const a, b = "https://a.example", "https://b.example"
	seconds := func(after time.Duration) string { return fmt.Sprint(start.Add(after).Unix()) }
	others := []string{oct("unbound", `"large":12345678901234567890`), oct("of-b", `"aud":"`+b+`"`)}
	keys := []string{
		others[0],
		oct("a-early", `"aud":"`+a+`"`, `"exp":`+seconds(time.Minute)),
		oct("a-late", `"aud":"`+a+`"`, `"nbf":`+seconds(-time.Hour), `"exp":`+seconds(48*time.Hour)),
		others[1],
		oct("a-over", `"aud":"`+a+`"`, `"exp":`+seconds(0)),
		oct("b-over", `"aud":"`+b+`"`, `"exp":`+seconds(-time.Hour)),
	}
	next := successor(t, keyring.HS256, a)
	rotated, err := keyring.Rotate([]byte(strings.Replace(set(keys...), "{", `{"note":"of the file",`, 1)), next, start)
	if err != nil {
		t.Fatal(err)
	}
	got := raws(t, rotated)
	if diff := cmp.Diff([]string{others[0], keys[1], others[1]}, []string{got[0], got[1], got[3]}); diff != "" ||
		!strings.Contains(string(rotated), `"note": "of the file"`) {
		t.Errorf("the set became %s (-want +got):\n%s", rotated, diff)
	}
	ring := parse(t, string(rotated))
	want := "unbound signing, a-early verifying, a-late signing, of-b signing, " + next.ID + " waiting"
	if diff := cmp.Diff(want, states(ring, start)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	late, ok := ring.Verifier("a-late", start.Add(time.Hour-time.Second))
	if _, over := ring.Verifier("a-late", start.Add(time.Hour)); !ok || over ||
		!late.VerifiesUntil.Equal(start.Add(time.Hour)) {
		t.Errorf("the replaced key verifies: %v, and after an hour: %v", late, over)
	}
	if key, err := ring.SignerFor(a, start.Add(5*time.Minute)); err != nil || key.ID != next.ID || key.Audience != a {
		t.Errorf("%v signs (%v)", key, err)
	}
}

// After a second rotation before the first new key signs, the newest key signs.
func TestRotateTwice(t *testing.T) {
	first, second := successor(t, keyring.HS256, ""), successor(t, keyring.HS256, "")
	rotated, err := keyring.Rotate([]byte(set(oct("old"))), first, start)
	if err != nil {
		t.Fatal(err)
	}
	again, err := keyring.Rotate(rotated, second, start)
	if err != nil {
		t.Fatal(err)
	}
	if key, err := parse(t, string(again)).Signer(start.Add(5 * time.Minute)); err != nil || key.ID != second.ID {
		t.Errorf("%v signs (%v), want the later one of two that begin together", key, err)
	}
	atOnce, err := keyring.NewSuccessor(keyring.HS256, "", start, start.Add(time.Hour), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	again, err = keyring.Rotate(rotated, atOnce, start)
	if err != nil {
		t.Fatal(err)
	}
	ring := parse(t, string(again))
	for _, after := range []time.Duration{0, 5 * time.Minute} {
		if key, err := ring.Signer(start.Add(after)); err != nil || key.ID != atOnce.ID {
			t.Errorf("after %v %v signs (%v)", after, key, err)
		}
	}
	if got, want := states(ring, start), "old verifying, "+atOnce.ID+" signing"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A compromised key can be removed at once.
func TestRotateCompromised(t *testing.T) {
	next, err := keyring.NewSuccessor(keyring.HS256, "", start, start, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rotated, err := keyring.Rotate([]byte(set(oct("old"), oct("of-a", `"aud":"https://a.example"`))), next, start)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := states(parse(t, string(rotated)), start), "of-a signing, "+next.ID+" signing"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestRotateRefuses(t *testing.T) {
	next := successor(t, keyring.HS256, "")
	good, err := keyring.Rotate([]byte(set(oct("old"))), next, start)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"no JSON": "x", "no keys": set(), "two of one kid": set(oct("a"), oct("a")),
		"the key already": string(good),
	} {
		got, err := keyring.Rotate([]byte(text), next, start)
		if !errors.Is(err, keyring.ErrBadRing) || got != nil {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	other := successor(t, keyring.HS256, "https://a.example")
	if _, err := keyring.Rotate([]byte(set(oct("a"))), other, start); !errors.Is(err, keyring.ErrNoKey) {
		t.Errorf("an API without a key: %v", err)
	}
	bound := set(oct("a", `"aud":"https://a.example"`))
	if _, err := keyring.Rotate([]byte(bound), next, start); !errors.Is(err, keyring.ErrNoKey) {
		t.Errorf("the default API without a key: %v", err)
	}
	for _, algorithm := range []string{"", "none", "HS512"} {
		if s, err := keyring.NewSuccessor(algorithm, "", start, start, rand.Reader); err == nil || s != nil {
			t.Errorf("algorithm %q: %v", algorithm, s)
		}
	}
	if s, err := keyring.NewSuccessor(keyring.HS256, "", start, start.Add(-time.Second), rand.Reader); err == nil ||
		s != nil {
		t.Errorf("retiring before it signs: %v", s)
	}
}
