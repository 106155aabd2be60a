package account_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

// RFC 8265 section 3.4: usernames are compared in NFC and without fullwidth letters.
func TestPrepareUsername(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"john.doe": "john.doe", "John.Doe": "John.Doe", "john.doe ": "john.doe", "\u00a0john.doe\t": "john.doe",
		"jose\u0301": "josé", "ｊｏｈｎ": "john", "日本語 100%": "日本語 100%", "O'Brien": "O'Brien",
		"Иван": "Иван", "Σίσυφος": "Σίσυφος", "山田taro": "山田taro",
	} {
		if got, err := account.PrepareUsername(text); got != want || err != nil {
			t.Errorf("%q: got %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", " ", "a  b", "a\u200bb", "a\u200db", "a\ufe0f", "a\U000e0100", "\u2066a", "a\u00adb", "ﬁn", "😀", "①", "™",
		"j\u043ehn", "αlpha", "a\u0378", "a\u3164", "א1a", "a\u2028b", "a\xffb", strings.Repeat("é", 65),
		strings.Repeat("x", 129), "ada@example.com", "@", "ada\uff20example", ".", "..", " .. ",
	} {
		if got, err := account.PrepareUsername(text); !errors.Is(err, account.ErrBadName) || got != "" {
			t.Errorf("%q: got %q, %v, want %v", text, got, err, account.ErrBadName)
		}
	}
}

func TestSkeleton(t *testing.T) {
	t.Parallel()
	for _, same := range [][]string{
		{"john.doe", "John.Doe", "ｊohn.doe", "j\u043ehn.doe", "john.\u200bdoe", "john.doe\ufe0f", "j0hn.d0e"},
		{"josé", "jose\u0301", "JOSÉ", "jos\u00e9\u200d"},
		{"paypal1", "раураl1", "PayPall"}, // Cyrillic
		{"fin", "ﬁn"}, {"strasse", "straße"}, {"", "\u200b\u2060\ufeff"},
	} {
		for _, other := range same[1:] {
			if a, b := account.Skeleton(same[0]), account.Skeleton(other); a != b {
				t.Errorf("%q and %q have the skeletons %q and %q", same[0], other, a, b)
			}
		}
	}
	seen := map[string]string{}
	for _, name := range []string{
		"john.doe", "johndoe", "jöhn.doe", "jane.doe", "kai", "kal", "user1", "user2", "Иван", "日本",
	} {
		if other, ok := seen[account.Skeleton(name)]; ok {
			t.Errorf("%q and %q have one skeleton", name, other)
		}
		seen[account.Skeleton(name)] = name
	}
}

// RFC 8265 section 4.2: a password that one keyboard sends in NFC and another one in NFD is the
// same, also for hashes of previous versions, which a login replaces.
func TestPasswordsInNFC(t *testing.T) {
	t.Parallel()
	const composed, decomposed = "contraseña é", "contrasen\u0303a\u00a0e\u0301"
	f := newFixture(t)
	hash, err := f.Hasher.Hash(decomposed)
	if err != nil {
		t.Fatal(err)
	}
	f.addHash("new", hash)
	raw, err := bcrypt.GenerateFromPassword([]byte(decomposed), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	f.addHash("old", string(raw))

	f.expect("new", composed, nil)
	f.expect("new", decomposed, nil)
	f.expect("old", composed, account.ErrIncorrect)
	f.expect("old", decomposed, nil) // and replaces the hash
	f.expect("old", composed, nil)
	f.expect("old", decomposed, nil)
	for _, other := range []string{"contrasena e", "contraseña\ufffd", "contrase\xf1a é", strings.ToUpper(composed)} {
		f.expect("new", other, account.ErrIncorrect)
	}
}

// A previous hash of a password that has more than 72 bytes in NFC keeps working.
func TestPasswordThatNFCMakesLonger(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	long := strings.Repeat("\u0958", 20) // 60 bytes, and 120 in NFC
	raw, err := bcrypt.GenerateFromPassword([]byte(long), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	f.addHash("john.doe", string(raw))
	f.expect("john.doe", long, nil)
	f.expect("john.doe", long, nil)
	f.expect("john.doe", long+"x", account.ErrIncorrect)
}

// However a keyboard sends the username, it is the same account. Another letter case is not.
func TestUsernamesInNFC(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.add("josé", bcrypt.MinCost)
	f.addRaw("rene\u0301") // of a previous version, which stored what was typed
	for _, name := range []string{
		"josé", "jose\u0301", " josé", "josé ", "josé\u00a0", "ｊosé", "rene\u0301", "rené", "rené ",
	} {
		f.expect(name, right, nil)
	}
	for _, name := range []string{"José", "jose", "josé\u200b", "jo sé", "j\u043esé", "RENÉ"} {
		f.expect(name, right, account.ErrIncorrect)
	}
}

// Usernames of previous versions that differ in their encoding only are two accounts, and no
// failure of one counts for the other one.
func TestTwinsOfPreviousVersions(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	composed := f.add("josé", bcrypt.MinCost)
	decomposed := f.addRaw("jose\u0301")
	if _, err := f.store.Migrate(t.Context()); err != nil { // finds the twin
		t.Fatal(err)
	}
	for name, want := range map[string]string{composed.Username: composed.ID, decomposed.Username: decomposed.ID} {
		u, err := f.Check(t.Context(), account.Attempt{Username: name, Password: right, Address: home})
		if err != nil || u.ID != want {
			t.Errorf("%q: got user %s, %v, want %s", name, u.ID, err, want)
		}
		if err == nil {
			err = f.GiveBack(t.Context(), u)
		}
		if err != nil {
			t.Error(err)
		}
	}
	for range freeFailures {
		f.expect(composed.Username, wrong, account.ErrIncorrect)
	}
	expectWait(t, f.check(composed.Username, right), time.Second)
	f.expect(decomposed.Username, right, nil)

	twins, err := f.store.Twins(t.Context(), 10)
	if err != nil || len(twins) != 1 || twins[0].First != composed.Username || twins[0].Second != decomposed.Username {
		t.Errorf("got twins %+v, %v", twins, err)
	}
}

// The users of the demo can log in only while it is on, or with a password of their own.
func TestDemoUsers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.addDemo("john.doe", bcrypt.MinCost)
	var log strings.Builder
	f.Log = slog.New(slog.NewTextHandler(&log, nil))
	f.expect("john.doe", right, account.ErrIncorrect)
	if !strings.Contains(log.String(), `reason="demo user while the demo is off"`) {
		t.Errorf("got log %q, want the reason", log.String())
	}
	f.Demo = true
	f.expect("john.doe", right, nil)
	f.Demo = false
	hash, err := f.Hasher.Hash(wrong)
	if err == nil {
		err = f.store.SetPassword(t.Context(), "john.doe", hash, f.now)
	}
	if err != nil {
		t.Fatal(err)
	}
	f.expect("john.doe", wrong, nil)
}
