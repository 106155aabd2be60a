package grant_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// RFC 8628 section 6.1: eight of twenty letters, none of them a vowel.
func TestNewUserCode(t *testing.T) {
	seen, letters := map[string]bool{}, map[rune]int{}
	const codes = 2000
	for range codes {
		code, err := grant.NewUserCode(rand.Reader)
		if err != nil || len(code) != 8 || seen[code] {
			t.Fatalf("code %q, %v", code, err)
		}
		seen[code] = true
		for _, letter := range code {
			letters[letter]++
		}
	}
	for letter := 'A'; letter <= 'Z'; letter++ {
		const share = codes * 8 / 20
		switch n := letters[letter]; {
		case strings.ContainsRune("AEIOUY", letter) && n > 0:
			t.Errorf("the vowel %c", letter)
		case !strings.ContainsRune("AEIOUY", letter) && (n < share/2 || n > 2*share):
			t.Errorf("%c occurs %d times, want about %d", letter, n, share)
		}
	}
	// Bytes from 240 on are skipped: the first letters would come up more often.
	code, err := grant.NewUserCode(bytes.NewReader([]byte{255, 0, 240, 19, 239, 20, 1, 2, 3, 4}))
	if err != nil || code != "BZZBCDFG" {
		t.Errorf("got %q, %v", code, err)
	}
	if code, err := grant.NewUserCode(iotest.ErrReader(errors.New("no entropy"))); err == nil || code != "" {
		t.Errorf("without entropy: %q, %v", code, err)
	}
}

func TestParseUserCode(t *testing.T) {
	for typed, want := range map[string]string{
		"BCDFGHJK": "BCDFGHJK", "BCDF-GHJK": "BCDFGHJK", "bcdf ghjk": "BCDFGHJK", "\tB.C_D-F\u2014ghjk\n": "BCDFGHJK",
		"": "", "BCDF-GHJ": "", "BCDF-GHJK-L": "", "BCDF-GHJA": "", "BCDF-GHJ1": "", "BCDF-GHJÉ": "", "ＢCDFGHJK": "",
	} {
		got, ok := grant.ParseUserCode(typed)
		if ok != (want != "") || (ok && got != want) {
			t.Errorf("%q: %q, %v, want %q", typed, got, ok, want)
		}
	}
	if got := grant.ShownUserCode("BCDFGHJK"); got != "BCDF-GHJK" {
		t.Errorf("shown as %q", got)
	}
}

func FuzzParseUserCode(f *testing.F) {
	for _, seed := range []string{"", "BCDF-GHJK", "bcdfghjk", "\xff\x00é", strings.Repeat("-", 100)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		code, ok := grant.ParseUserCode(typed)
		if !ok {
			return
		}
		if again, ok := grant.ParseUserCode(grant.ShownUserCode(code)); !ok || again != code {
			t.Errorf("%q is read as %q, and that as %q, %v", typed, code, again, ok)
		}
	})
}
