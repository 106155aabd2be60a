package grant_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"regexp"
	"testing"
	"testing/iotest"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// RFC 6749 section 10.10: a code cannot be guessed. Section 4.1.2: it is short-lived.
func TestNewCode(t *testing.T) {
	form := regexp.MustCompile(`^hpc_[A-Za-z0-9_-]{43}$`) // 256 bits
	seen := map[string]bool{}
	for range 100 {
		code, err := grant.NewCode(rand.Reader)
		if err != nil || !form.MatchString(code) || seen[code] || seen[secret.Digest(code)] {
			t.Fatalf("code %q, %v", code, err)
		}
		seen[code], seen[secret.Digest(code)] = true, true
	}
	if grant.CodeLifetime > time.Minute {
		t.Errorf("a code lives %v", grant.CodeLifetime)
	}
}

func TestNewCodeNeedsRandomness(t *testing.T) {
	for _, random := range []io.Reader{bytes.NewReader(make([]byte, 31)), iotest.ErrReader(errors.New("no entropy"))} {
		if code, err := grant.NewCode(random); err == nil || code != "" {
			t.Errorf("got %q, %v", code, err)
		}
	}
}

// RFC 4648 section 5 and FIPS 180-4: the digest of the empty text is a known one.
func TestDigest(t *testing.T) {
	if got := secret.Digest(""); got != "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU" {
		t.Errorf("the digest of nothing is %s", got)
	}
}
