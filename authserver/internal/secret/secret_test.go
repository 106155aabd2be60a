package secret_test

import (
	"crypto/rand"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

func TestNew(t *testing.T) {
	want := regexp.MustCompile(`^hps_[A-Za-z0-9_-]{43}$`)
	seen := map[string]bool{}
	for range 100 {
		s, err := secret.New(rand.Reader, "hps_")
		if err != nil || !want.MatchString(s) || seen[s] {
			t.Fatalf("got %q and error %v after %d secrets", s, err, len(seen))
		}
		seen[s] = true
	}
}

func TestNewWithoutRandomness(t *testing.T) {
	broken := errors.New("broken")
	if s, err := secret.New(iotest.ErrReader(broken), "x"); !errors.Is(err, broken) || s != "" {
		t.Errorf("got %q and error %v, want the error of the reader", s, err)
	}
	if s, err := secret.New(strings.NewReader("too short"), "x"); err == nil || s != "" {
		t.Errorf("got %q from too few random bytes", s)
	}
}

func TestDigest(t *testing.T) {
	const want = "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0" // of "abc": FIPS 180-2 appendix B.1
	if got := secret.Digest("abc"); got != want {
		t.Errorf("digest of a string is %s, want %s", got, want)
	}
	if got := secret.Digest([]byte("abc")); got != want {
		t.Errorf("digest of bytes is %s, want %s", got, want)
	}
}
