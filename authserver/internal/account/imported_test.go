package account_test

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/passwordhash"
)

// foreignHash returns a PBKDF2 hash of a password.
func foreignHash(t *testing.T, password string) string {
	t.Helper()
	salt := []byte("0123456789abcdef")
	key, err := pbkdf2.Key(sha256.New, password, salt, 1000, 32)
	if err != nil {
		t.Fatal(err)
	}
	h, err := passwordhash.NewPBKDF2("pbkdf2-sha256", 1000, salt, key)
	if err != nil {
		t.Fatal(err)
	}
	return h.String()
}

// hashOf returns the stored hash of a user.
func (f *fixture) hashOf(username string) string {
	f.t.Helper()
	u, err := f.store.UserByUsername(f.t.Context(), username)
	if err != nil {
		f.t.Fatal(err)
	}
	return u.PasswordHash
}

// A login with a hash of another system replaces it by the server's own. A wrong password does not, and a hash of a
// password that bcrypt cannot hash whole stays.
func TestImportedHashes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	own, err := bcrypt.GenerateFromPassword([]byte(right), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	theirs, long := "$2b"+string(own[3:]), strings.Repeat("long ", 20)
	cut, err := bcrypt.GenerateFromPassword([]byte(long[:72]), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ username, hash, password string }{
		{"pbkdf2", foreignHash(t, right), right},
		{"bcrypt", theirs, right},
		{"decomposed", foreignHash(t, "passwo\u0308rd"), "passwo\u0308rd"},
	} {
		f.addHash(tt.username, tt.hash)
		f.expect(tt.username, wrong, account.ErrIncorrect)
		if f.hashOf(tt.username) != tt.hash {
			t.Errorf("%s: a wrong password has replaced the hash", tt.username)
		}
		f.expect(tt.username, tt.password, nil)
		if hash := f.hashOf(tt.username); !strings.HasPrefix(hash, "$2a$04$") {
			t.Errorf("%s: the hash is still %s", tt.username, passwordhash.CostOf(hash))
		}
		f.expect(tt.username, tt.password, nil)
		f.expect(tt.username, wrong, account.ErrIncorrect)
	}
	for username, hash := range map[string]string{"long": foreignHash(t, long), "cut": "$2b" + string(cut[3:])} {
		f.addHash(username, hash)
		for range 2 {
			f.expect(username, long, nil)
		}
		f.expect(username, long[:71], account.ErrIncorrect)
		if f.hashOf(username) != hash {
			t.Errorf("%s: the hash of a password of %d bytes was replaced", username, len(long))
		}
	}
	f.addHash("too costly", strings.Replace(foreignHash(t, right), "i=1000$", "i=1000000000$", 1))
	f.expect("too costly", right, account.ErrIncorrect)
	f.addHash("without a password", "")
	f.expect("without a password", "", account.ErrIncorrect)
}

// Unknown names cost what imported users cost too, in proportion, so that nobody can tell which names exist, or who has
// come along from another system.
func TestUnknownUsersCostWhatImportedUsersCost(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.NameKey = []byte("a key that is the same in each run")
	f.Hasher = newHasher(t, bcrypt.MinCost)
	var costs []string
	f.Hasher.CountComparisons(func(h passwordhash.Hash) { costs = append(costs, h.Cost()) })
	f.add("own", bcrypt.MinCost)
	imported := foreignHash(t, right)
	for i := range 3 {
		f.addHash("imported "+strconv.Itoa(i+2), imported)
	}
	f.now = f.now.Add(10 * time.Second)
	const names = 400
	counts := map[string]int{}
	for i := range names {
		costs = nil
		_, err := f.Check(t.Context(), account.Attempt{
			Username: "unknown " + strconv.Itoa(i), Password: wrong, Address: home, OfService: true,
		})
		if !errors.Is(err, account.ErrIncorrect) || len(costs) != 1 {
			t.Fatalf("error %v, costs %v", err, costs)
		}
		counts[costs[0]]++
	}
	own, theirs := counts["$2a$04$"], counts["$pbkdf2-sha256$i=1000$"]
	if own+theirs != names || theirs < names*65/100 || theirs > names*85/100 {
		t.Errorf("costs of unknown names: %v, want three quarters of PBKDF2", counts)
	}
}
