package passwordhash_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/hallpass-auth/hallpass/authserver/internal/passwordhash"
)

const password = "correct horse 김치"

const (
	argon2Small    = "$argon2id$v=19$m=256,t=3,p=2$MDEyMzQ1Njc4OWFiY2RlZg$pN1JR+zgrxbNnweWhSAtblgbDw3jxl+njiwoKA2x12E"
	argon2Keycloak = "$argon2id$v=19$m=7168,t=5,p=1$MDEyMzQ1Njc4OWFiY2RlZg$yuuAfeSAgTFnU4/zF1aq5SOJloDBVAhcHIcZfSpfZt8"
)

// theirs are hashes of the password that other programs have made: Python's hashlib and crypt, and the command argon2.
var theirs = []string{
	"$2b$04$abcdefghijklmnopqrstuuQTcV9kCwwwv.Fh5SAxuTf4up4QkyRqC",
	"$2y$04$abcdefghijklmnopqrstuuQTcV9kCwwwv.Fh5SAxuTf4up4QkyRqC",
	"$pbkdf2-sha1$i=1000$MDEyMzQ1Njc4OWFiY2RlZg$a7kZ0v2WzPMrh1R8hQEtxHlvzlw",
	"$pbkdf2-sha1$i=1000$MDEyMzQ1Njc4OWFiY2RlZg$" +
		"a7kZ0v2WzPMrh1R8hQEtxHlvzlwzBX4adJ0j/k8OQ+R+PBGfXnOBA6P4ifh2RiFfoG/x5HbeHCRR6kZ8piQgZw",
	"$pbkdf2-sha256$i=1000$MDEyMzQ1Njc4OWFiY2RlZg$ST+AOqQNYyzjhyCcXYjtCRPvCtGjxprm9zU7k7FwvT0",
	"$pbkdf2-sha256$i=1000$MDEyMzQ1Njc4OWFiY2RlZg$" +
		"ST+AOqQNYyzjhyCcXYjtCRPvCtGjxprm9zU7k7FwvT0P37mjlnYbCrYv4IO1prkJWcohrhcLLy0lAW4yEXhptA",
	"$pbkdf2-sha512$i=1000$MDEyMzQ1Njc4OWFiY2RlZg$" +
		"ogtvGlS8eXWwwOGbQ4D/w7KAU1wq8RAooefgVL7Nf7QGa0vwzPaxe0BjnyxAaolX8GeQb2ut1RgoH3Q4gkaYKA",
	"$scrypt$ln=10,r=8,p=2$MDEyMzQ1Njc4OWFiY2RlZg$mULPSamJxgiEj3B1zvdWK1bd3+qhHhnCI7wj+xZ1WcQ",
	argon2Small,
	argon2Keycloak,
}

func TestHashesOfOtherPrograms(t *testing.T) {
	t.Parallel()
	for _, text := range theirs {
		h, err := passwordhash.Foreign(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if h.String() != text || h.Own() {
			t.Errorf("%s: became %s, own: %v", text, h, h.Own())
		}
		for _, wrong := range []string{"", "correct horse", password + " ", strings.Repeat("x", 5000)} {
			if h.Matches(wrong) {
				t.Errorf("%s matches %q", text, wrong)
			}
		}
		if !h.Matches(password) {
			t.Errorf("%s does not match the password", text)
		}
		if cost := h.Cost(); !strings.HasPrefix(text, cost) || passwordhash.CostOf(text) != cost {
			t.Errorf("%s: cost %s, from the text %s", text, cost, passwordhash.CostOf(text))
		}
		nobody := passwordhash.OfNobody(h.Cost())
		if nobody.Cost() != h.Cost() || nobody.Matches(password) || nobody.Matches("") {
			t.Errorf("%s: the hash of nobody has cost %s, or matches", text, nobody.Cost())
		}
	}
}

// Other systems cut a password after 72 bytes; this server refuses to set one.
func TestLongPasswords(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 80)
	own, err := bcrypt.GenerateFromPassword([]byte(long[:72]), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := passwordhash.Parse(string(own))
	if err != nil || !parsed.Own() || !parsed.Matches(long[:72]) || parsed.Matches(long) {
		t.Errorf("an own hash: %v; it must match a password of 72 bytes alone", err)
	}
	foreign, err := passwordhash.Foreign(string(own))
	if err != nil || foreign.Own() || !foreign.Matches(long[:72]) || !foreign.Matches(long) || foreign.Matches(long[:71]) {
		t.Errorf("a hash of another system: %v; it must match what begins with the 72 bytes", err)
	}
	theirs, err := passwordhash.Foreign("$2b$04$abcdefghijklmnopqrstuubzadhGtS2zEF.gu0yd0opP6cVzb.e0i")
	if err != nil || !theirs.Matches(long) {
		t.Errorf("a hash that Python's crypt has made of 80 bytes: %v; it must match", err)
	}
}

func TestRefusedHashes(t *testing.T) {
	t.Parallel()
	const salt, key = "MDEyMzQ1Njc4OWFiY2RlZg", "ST+AOqQNYyzjhyCcXYjtCRPvCtGjxprm9zU7k7FwvT0"
	end := "$" + salt + "$" + key
	digits := strings.TrimPrefix(theirs[0], "$2b$04$")
	for name, text := range map[string]string{
		"empty":                       "",
		"plain text":                  "password",
		"MD5":                         "5f4dcc3b5aa765d61d8327deb882cf99",
		"crypt of SHA-512":            "$6$rounds=5000$salt$hash",
		"bcrypt of cost 31":           "$2b$31$" + digits,
		"bcrypt of cost 16":           "$2b$16$" + digits,
		"bcrypt of cost 3":            "$2b$03$" + digits,
		"bcrypt of cost 4, in spaces": "$2b$ 4$" + digits,
		"bcrypt with a sign":          "$2b$+4$" + digits,
		"bcrypt 2x, which has a bug":  "$2x$04$" + digits,
		"bcrypt too short":            "$2b$04$" + digits[1:],
		"bcrypt too long":             "$2b$04$" + digits + "x",
		"bcrypt of other characters":  "$2b$04$" + digits[1:] + "+",
		"bcrypt alone":                "$2",
		"argon2id of 4 GiB":           "$argon2id$v=19$m=4194304,t=1,p=1" + end,
		"argon2id of 65 MiB":          "$argon2id$v=19$m=66560,t=1,p=1" + end,
		"argon2id of 5 passes":        "$argon2id$v=19$m=65536,t=5,p=1" + end,
		"argon2id of 17 passes":       "$argon2id$v=19$m=8,t=17,p=1" + end,
		"argon2id of no pass":         "$argon2id$v=19$m=8,t=0,p=1" + end,
		"argon2id of many threads":    "$argon2id$v=19$m=65536,t=1,p=255" + end,
		"argon2id of no thread":       "$argon2id$v=19$m=65536,t=1,p=0" + end,
		"argon2id of no memory":       "$argon2id$v=19$m=0,t=1,p=1" + end,
		"argon2id that overflows":     "$argon2id$v=19$m=4294967304,t=1,p=1" + end,
		"argon2id of version 1.0":     "$argon2id$v=16$m=64,t=1,p=1" + end,
		"argon2i":                     "$argon2i$v=19$m=64,t=1,p=1" + end,
		"argon2id with a secret":      "$argon2id$v=19$m=64,t=1,p=1,keyid=x" + end,
		"scrypt of 128 MiB":           "$scrypt$ln=17,r=8,p=1" + end,
		"scrypt of a large r":         "$scrypt$ln=14,r=255,p=1" + end,
		"scrypt of many p":            "$scrypt$ln=10,r=8,p=5" + end,
		"scrypt of a huge ln":         "$scrypt$ln=255,r=1,p=1" + end,
		"scrypt of ln 0":              "$scrypt$ln=0,r=1,p=1" + end,
		"PBKDF2 of 10^9 iterations":   "$pbkdf2-sha256$i=1000000000" + end,
		"PBKDF2 of 1,000,001":         "$pbkdf2-sha256$i=1000001" + end,
		"PBKDF2 of none":              "$pbkdf2-sha256$i=0" + end,
		"PBKDF2 of a negative number": "$pbkdf2-sha256$i=-1" + end,
		"PBKDF2 of MD5":               "$pbkdf2-md5$i=1000" + end,
		"a leading zero":              "$pbkdf2-sha256$i=01000" + end,
		"a space":                     "$pbkdf2-sha256$i= 1000" + end,
		"no salt":                     "$pbkdf2-sha256$i=1000$$" + key,
		"no key":                      "$pbkdf2-sha256$i=1000$" + salt + "$",
		"a short key":                 "$pbkdf2-sha256$i=1000$" + salt + "$AAAA",
		"padding":                     "$pbkdf2-sha256$i=1000$" + salt + "$" + key + "=",
		"a line break":                "$pbkdf2-sha256$i=1000$" + salt + "$" + key + "\n",
		"bits left over":              "$pbkdf2-sha256$i=1000$" + salt[:21] + "h$" + key,
		"another text before":         "x$pbkdf2-sha256$i=1000" + end,
		"a huge text":                 "$pbkdf2-sha256$i=1000$" + salt + "$" + strings.Repeat("A", 1<<20),
	} {
		h, err := passwordhash.Foreign(text)
		if !errors.Is(err, passwordhash.ErrHash) {
			t.Errorf("%s: got %q, %v, want %v", name, h, err, passwordhash.ErrHash)
		}
		if err != nil && (strings.Contains(err.Error(), key) || strings.Contains(err.Error(), digits)) {
			t.Errorf("%s: the error contains the hash: %v", name, err)
		}
	}
	if (passwordhash.Hash{}).Matches("") || passwordhash.OfNobody("$2a$31$").Matches("") {
		t.Error("the zero hash matches")
	}
}

// Many logins at once need the memory of one.
func TestOneHashOfMuchMemoryAtATime(t *testing.T) {
	t.Parallel()
	h, err := passwordhash.Parse(argon2Small)
	if err != nil {
		t.Fatal(err)
	}
	free := passwordhash.HoldMemory()
	var logins sync.WaitGroup
	done := make(chan bool, 4)
	for range 4 {
		logins.Go(func() { done <- h.Matches(password) })
	}
	other, err := passwordhash.Parse(theirs[2])
	if err != nil || !other.Matches(password) {
		t.Errorf("PBKDF2 does not match while another hash needs memory: %v", err)
	}
	if len(done) > 0 {
		t.Error("two hashes needed memory at once")
	}
	free()
	logins.Wait()
	for range 4 {
		if !<-done {
			t.Error("a login that has waited failed")
		}
	}
}

// What the parser accepts has limited costs, and is written as it was read.
func FuzzParse(f *testing.F) {
	for _, text := range theirs {
		f.Add(text)
	}
	f.Add("$argon2id$v=19$m=4194304,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$ST+AOqQNYyzjhyCcXYjtCRPvCtGjxprm9zU7k7FwvT0")
	f.Add("$2a$31$abcdefghijklmnopqrstuuQTcV9kCwwwv.Fh5SAxuTf4up4QkyRqC")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := passwordhash.Parse(text)
		if err != nil {
			if !errors.Is(err, passwordhash.ErrHash) {
				t.Fatalf("%q: error %v", text, err)
			}
			return
		}
		if h.String() != text {
			t.Fatalf("%q became %q", text, h)
		}
		if !h.CostsAreLimited() {
			t.Fatalf("%q costs too much", text)
		}
		if h.Cost() != passwordhash.CostOf(text) || passwordhash.OfNobody(h.Cost()).Cost() != h.Cost() {
			t.Fatalf("%q has cost %s, its text %s", text, h.Cost(), passwordhash.CostOf(text))
		}
	})
}
