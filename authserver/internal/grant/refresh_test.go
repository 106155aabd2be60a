package grant_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// grace is the grace period of these tests, noon the time of their first token.
const grace = 10 * time.Second

var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// first returns a new refresh token of grant 7, and what is stored of it.
func first(t testing.TB) (grant.RefreshToken, grant.Refresh) {
	t.Helper()
	token, r, err := grant.NewRefresh(rand.Reader, noon.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	token.Number = 7
	return token, r
}

// chain replaces a token at each of the times, and returns all tokens, oldest first, and what is
// stored at the end.
func chain(t testing.TB, times ...time.Time) ([]grant.RefreshToken, grant.Refresh) {
	t.Helper()
	token, r := first(t)
	all := []grant.RefreshToken{token}
	for _, at := range times {
		seed := make([]byte, 32)
		if _, err := rand.Read(seed); err != nil {
			t.Fatal(err)
		}
		r, token = r.Rotate(token, seed, at, grace)
		all = append(all, token)
	}
	return all, r
}

// every returns n times from noon on, one step apart.
func every(step time.Duration, n int) []time.Time {
	times := make([]time.Time, n)
	for i := range times {
		times[i] = noon.Add(time.Duration(i) * step)
	}
	return times
}

// judged checks the verdict on a token and, for a valid one, the current token.
func judged(t *testing.T, what string, r grant.Refresh, token grant.RefreshToken, at time.Time, want grant.Verdict,
	current grant.RefreshToken) {
	t.Helper()
	verdict, got := r.Judge(token, at, grace)
	if verdict != want {
		t.Errorf("%s: verdict %d, want %d", what, verdict, want)
	}
	if got != current {
		t.Errorf("%s: it leads to %v, want %v", what, got, current)
	}
}

var none grant.RefreshToken

// RFC 6749 section 10.10: a token has 256 bits that nobody can guess, behind a prefix that
// scanners know.
func TestRefreshTokenText(t *testing.T) {
	form := regexp.MustCompile(`^hpr_[A-Za-z0-9_-]{75}$`)
	seen := map[string]bool{}
	for range 100 {
		token, _ := first(t)
		text := token.String()
		if !form.MatchString(text) || seen[text] {
			t.Fatalf("token %s", text)
		}
		seen[text] = true
		back, err := grant.ParseRefreshToken(text)
		if err != nil || back != token {
			t.Fatalf("%s came back as %s, %v", text, back, err)
		}
	}
}

// raw writes a refresh token by hand.
func raw(number uint64, family, secret []byte) string {
	data := binary.BigEndian.AppendUint64(nil, number)
	return grant.RefreshPrefix + base64.RawURLEncoding.EncodeToString(append(append(data, family...), secret...))
}

func TestParseRefreshTokenRefuses(t *testing.T) {
	token, _ := first(t)
	text := token.String()
	body := strings.TrimPrefix(text, grant.RefreshPrefix)
	for name, bad := range map[string]string{
		"nothing":                 "",
		"the mark alone":          grant.RefreshPrefix,
		"no mark":                 body,
		"another mark":            "hpc_" + body,
		"the mark in capitals":    "HPR_" + body,
		"the mark twice":          grant.RefreshPrefix + text,
		"cut off":                 text[:len(text)-1],
		"longer":                  text + "A",
		"four longer":             text + "AAAA",
		"padded":                  text + "=",
		"a space before":          " " + text,
		"a space after":           text + " ",
		"a line break after":      text + "\n",
		"a line break within":     text[:20] + "\n" + text[20:],
		"a line break for a byte": text[:20] + "\n" + text[21:],
		"of the other alphabet":   text[:20] + "+/" + text[22:],
		"NUL":                     text[:20] + "\x00" + text[21:],
		"stray bits at the end":   text[:len(text)-1] + string(rune(body[len(body)-1]+1)),
		"a negative number":       raw(1<<63, make([]byte, 16), make([]byte, 32)),
		"a short secret":          raw(1, make([]byte, 16), make([]byte, 31)),
		"a long secret":           raw(1, make([]byte, 16), make([]byte, 33)),
		"a JWT":                   "eyJhbGciOiJub25lIn0.e30.",
	} {
		if got, err := grant.ParseRefreshToken(bad); !errors.Is(err, grant.ErrRefreshToken) || got != none {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
	if _, err := grant.ParseRefreshToken(raw(1<<63-1, make([]byte, 16), make([]byte, 32))); err != nil {
		t.Errorf("the largest number: %v", err)
	}
}

// No two texts are the same token.
func FuzzParseRefreshToken(f *testing.F) {
	token, _ := first(f)
	for _, seed := range []string{token.String(), token.String() + "=", raw(0, make([]byte, 16), make([]byte, 32)), "hpr_",
		""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		token, err := grant.ParseRefreshToken(text)
		if err != nil {
			if !errors.Is(err, grant.ErrRefreshToken) || token != none {
				t.Errorf("%q: %v, %v", text, token, err)
			}
			return
		}
		if token.String() != text || token.Number < 0 {
			t.Errorf("%q is taken for %q of grant %d", text, token.String(), token.Number)
		}
	})
}

func FuzzRefreshTokenRoundTrip(f *testing.F) {
	f.Add(int64(0), []byte{})
	f.Add(int64(1<<62), bytes.Repeat([]byte{0xff}, 48))
	f.Fuzz(func(t *testing.T, number int64, entropy []byte) {
		token, _, err := grant.NewRefresh(io.MultiReader(bytes.NewReader(entropy), rand.Reader), noon)
		if err != nil {
			t.Fatal(err)
		}
		token.Number = number & (1<<63 - 1)
		if back, err := grant.ParseRefreshToken(token.String()); err != nil || back != token {
			t.Errorf("%v came back as %v, %v", token, back, err)
		}
	})
}

func TestNewRefreshNeedsRandomness(t *testing.T) {
	for _, random := range []io.Reader{bytes.NewReader(make([]byte, 15)), bytes.NewReader(make([]byte, 47)),
		iotest.ErrReader(errors.New("no entropy"))} {
		if _, r, err := grant.NewRefresh(random, noon); err == nil || !cmp.Equal(r, grant.Refresh{}) {
			t.Errorf("got %+v, %v", r, err)
		}
	}
}

// A client that lost the response gets the successor of its token, over several generations.
func TestTokensWithinTheGraceLeadToTheCurrentOne(t *testing.T) {
	const generations = 8
	all, r := chain(t, every(time.Second, generations)...)
	current := all[generations]
	for i, token := range all {
		at := noon.Add(generations * time.Second)
		if token == current {
			judged(t, "the current token", r, token, at, grant.Current, current)
			judged(t, "the current token a year later", r, token, at.AddDate(1, 0, 0), grant.Current, current)
			continue
		}
		judged(t, "a recent token", r, token, at, grant.Recent, current)
		replaced := noon.Add(time.Duration(i) * time.Second)
		judged(t, "a token at the end of its grace", r, token, replaced.Add(grace), grant.Recent, current)
		judged(t, "a token past its grace", r, token, replaced.Add(grace+time.Millisecond), grant.Reused, none)
	}
}

// RFC 9700 section 4.14.2: a token that is used after the grace period counts as reused from then
// on.
func TestTokensPastTheGraceCountAsReused(t *testing.T) {
	all, r := chain(t, every(grace+time.Second, 5)...)
	at := noon.Add(4 * (grace + time.Second)) // of the last replacement
	for _, token := range all[:4] {
		judged(t, "an old token", r, token, at, grant.Reused, none)
		judged(t, "an old token a year later", r, token, at.AddDate(1, 0, 0), grant.Reused, none)
	}
	judged(t, "the last one replaced", r, all[4], at, grant.Recent, all[5])
	if len(r.Replaced) != 1 {
		t.Errorf("%d tokens are stored that count as reused anyway", len(r.Replaced)-1)
	}
	if verdict, _ := r.Judge(all[4], at, 0); verdict != grant.Recent {
		t.Errorf("without a grace, in the same moment: verdict %d", verdict)
	}
	if verdict, _ := r.Judge(all[4], at.Add(time.Millisecond), 0); verdict != grant.Reused {
		t.Errorf("without a grace, a moment later: verdict %d", verdict)
	}
}

// A text that was never a token of the grant must not count as reused: anybody could end the
// grant with it.
func TestUnknownTokens(t *testing.T) {
	all, r := chain(t, every(time.Second, 3)...)
	stranger, _ := first(t)
	judged(t, "a token of another grant", r, stranger, noon, grant.Unknown, none)
	judged(t, "a token of a grant that has none", grant.Refresh{}, all[0], noon, grant.Unknown, none)
	judged(t, "the empty token", r, none, noon, grant.Unknown, none)
	judged(t, "the empty token of a grant that has none", grant.Refresh{}, none, noon, grant.Unknown, none)

	text, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(all[3].String(), grant.RefreshPrefix))
	if err != nil {
		t.Fatal(err)
	}
	family, secret := text[8:24], text[24:]
	guessed, err := grant.ParseRefreshToken(raw(7, bytes.Repeat([]byte{1}, 16), secret))
	if err != nil {
		t.Fatal(err)
	}
	judged(t, "the right secret with another mark", r, guessed, noon, grant.Unknown, none)
	guessed, err = grant.ParseRefreshToken(raw(7, family, bytes.Repeat([]byte{1}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	judged(t, "the right mark with another secret: its holder has had a token", r, guessed, noon, grant.Reused, none)
}

// The row of a client that refreshes all the time does not grow.
func TestReplacedTokensAreBounded(t *testing.T) {
	const most = 64
	all, r := chain(t, every(time.Millisecond, 5*most)...)
	if len(r.Replaced) != most {
		t.Errorf("%d tokens are stored, want %d", len(r.Replaced), most)
	}
	at := noon.Add(time.Second)
	last := len(all) - 1
	judged(t, "the oldest one stored", r, all[last-most], at, grant.Recent, all[last])
	judged(t, "the one before", r, all[last-most-1], at, grant.Reused, none)
	data, err := json.Marshal(r.Replaced)
	if err != nil || len(data) > 16<<10 {
		t.Errorf("the replaced tokens take %d bytes (%v)", len(data), err)
	}
}

// Rotate is a pure function: replicas that do the same get the same, and the input is unchanged.
func TestRotateChangesNothing(t *testing.T) {
	all, r := chain(t, every(time.Second, 3)...)
	before, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	one, next := r.Rotate(all[3], []byte("seed"), noon, grace)
	again, same := r.Rotate(all[3], []byte("seed"), noon, grace)
	if next != same || !cmp.Equal(one, again) {
		t.Error("the same seed leads to two tokens")
	}
	if _, other := r.Rotate(all[3], []byte("another seed"), noon, grace); other == next {
		t.Error("two seeds lead to one token")
	}
	if one.Family != r.Family || !one.EndsAt.Equal(r.EndsAt) || next.Number != all[3].Number {
		t.Errorf("%+v became %+v", r, one)
	}
	if after, err := json.Marshal(r); err != nil || !bytes.Equal(before, after) {
		t.Errorf("%s became %s", before, after)
	}
}

// draft-ietf-oauth-v2-1 section 4.3: only digests are stored. They hold no part of a token, and no
// token can be made of them.
func TestStoredDigestsMakeNoToken(t *testing.T) {
	all, r := chain(t, every(time.Second, 3)...)
	kept, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range all {
		data, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token.String(), grant.RefreshPrefix))
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range [][]byte{data[8:24], data[24:]} {
			for _, encoded := range []string{
				string(part), hex.EncodeToString(part), base64.StdEncoding.EncodeToString(part),
				base64.RawURLEncoding.EncodeToString(part),
			} {
				if strings.Contains(string(kept), encoded) {
					t.Errorf("a part of %s is in %s", token, kept)
				}
			}
		}
	}
	known := [][]byte{decoded(t, r.Family), decoded(t, r.Current)}
	for _, replaced := range r.Replaced {
		known = append(known, decoded(t, replaced.Digest), replaced.Seed)
	}
	for _, family := range known {
		for _, secret := range known {
			forged, err := grant.ParseRefreshToken(raw(7, family[:16], secret))
			if err != nil {
				t.Fatal(err)
			}
			judged(t, "a token made of what is stored", r, forged, noon, grant.Unknown, none)
		}
	}
	// The seeds lead on from a token, and from nothing else.
	stranger, _ := first(t)
	if _, next := r.Rotate(stranger, r.Replaced[2].Seed, noon, grace); next == all[3] {
		t.Error("the seed alone leads to the next token")
	}
}

func decoded(t *testing.T, text string) []byte {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
