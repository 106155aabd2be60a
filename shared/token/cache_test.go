package token_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// revocations answers as a test tells it to.
type revocations func(*token.Claims) (bool, error)

func (f revocations) Revoked(_ context.Context, c *token.Claims) (bool, error) { return f(c) }

// remembered accepts raw twice and fails the test unless the second time came from
// the cache.
func remembered(t *testing.T, v *token.Verifier, raw string) {
	t.Helper()
	if first, second := accepts(t, v, raw), accepts(t, v, raw); first != second {
		t.Fatal("the token is not remembered")
	}
}

// refused fails the test unless v refuses raw with the error.
func refused(t *testing.T, v *token.Verifier, raw string, want error) {
	t.Helper()
	if claims, err := v.Verify(t.Context(), raw); !errors.Is(err, want) || claims != nil {
		t.Errorf("Verify gave %v, %v, want the error %v", claims, err, want)
	}
}

// CHECKLIST 50: a hit does not extend a token's life.
func TestCachedTokenExpires(t *testing.T) {
	now := newClock()
	v := verifier(t, func(cfg *token.VerifierConfig) { cfg.Now = now.Now })
	c := goodClaims()
	raw := sign(t, goodRing(t), c)
	remembered(t, v, raw)
	now.set(c.ExpiresAt.Add(token.DefaultLeeway - 1))
	remembered(t, v, raw)
	now.set(c.ExpiresAt.Add(token.DefaultLeeway))
	refused(t, v, raw, token.ErrInvalid)
	now.set(c.ExpiresAt.Add(-time.Minute))
	accepts(t, v, raw) // it was the time, and nothing else
}

// CHECKLIST 54: what a key signed ends with it, though it be remembered.
func TestCachedTokenEndsWithItsKey(t *testing.T) {
	raw := sign(t, goodRing(t), goodClaims())
	for name, ring := range map[string]*keyring.Ring{
		"key removed":                 ringOf(t, jwk("k2", secret)),
		"key replaced under its name": ringOf(t, jwk("k1", secret+"2")),
		"key past its exp":            ringOf(t, jwk("k1", secret, `"exp":`+seconds(0))),
	} {
		t.Run(name, func(t *testing.T) {
			source := new(keys)
			source.ring.Store(goodRing(t))
			v := verifier(t, func(cfg *token.VerifierConfig) { cfg.Keys = source })
			remembered(t, v, raw)
			source.ring.Store(ring)
			refused(t, v, raw, token.ErrInvalid)
			source.ring.Store(goodRing(t))
			remembered(t, v, raw)
		})
	}
}

// A key that reaches its exp while the ring stays the same.
func TestCachedTokenEndsAtTheExpOfItsKey(t *testing.T) {
	now, end := newClock(), start.Add(time.Minute)
	ring := ringOf(t, jwk("k1", secret, `"exp":`+seconds(time.Minute)))
	v := verifier(t, func(cfg *token.VerifierConfig) { cfg.Keys, cfg.Now = ring, now.Now })
	raw := sign(t, ring, goodClaims())
	remembered(t, v, raw)
	now.set(end.Add(-1))
	remembered(t, v, raw)
	now.set(end)
	refused(t, v, raw, token.ErrInvalid)
}

// Revocation is judged on every request, remembered or not, and not knowing is
// neither yes nor no.
func TestRevocationIsJudgedEveryTime(t *testing.T) {
	for _, size := range []int{0, -1} {
		var revoked bool
		var failure error
		var asked []string
		v := verifier(t, func(cfg *token.VerifierConfig) {
			cfg.CacheSize = size
			cfg.Revocations = revocations(func(c *token.Claims) (bool, error) {
				asked = append(asked, c.ID)
				return revoked, failure
			})
		})
		raw := sign(t, goodRing(t), goodClaims())
		accepts(t, v, raw)
		accepts(t, v, raw)
		revoked = true
		refused(t, v, raw, token.ErrInvalid)
		revoked, failure = false, errors.New("the list is too old")
		refused(t, v, raw, token.ErrUnavailable)
		refused(t, v, raw, failure) // the reason is kept for the log
		if _, err := v.Verify(t.Context(), raw); errors.Is(err, token.ErrInvalid) {
			t.Errorf("what cannot be judged is called invalid: %v", err)
		}
		failure = nil
		accepts(t, v, raw)
		if diff := cmp.Diff([]string{"jti-1", "jti-1", "jti-1", "jti-1", "jti-1", "jti-1", "jti-1"}, asked); diff != "" {
			t.Errorf("asked about (-want +got):\n%s", diff)
		}
	}
}

// What can never be learned makes a token invalid: the caller need not come back.
func TestRevocationThatCannotBeKnown(t *testing.T) {
	v := verifier(t, func(cfg *token.VerifierConfig) {
		cfg.Revocations = revocations(func(*token.Claims) (bool, error) {
			return false, fmt.Errorf("%w: there is no such bit", token.ErrInvalid)
		})
	})
	raw := sign(t, goodRing(t), goodClaims())
	refused(t, v, raw, token.ErrInvalid)
	if _, err := v.Verify(t.Context(), raw); errors.Is(err, token.ErrUnavailable) {
		t.Errorf("%v", err)
	}
}

// Nobody is asked about a token that is not good, and expiry wins.
func TestRevocationIsAskedLast(t *testing.T) {
	now := newClock()
	v := verifier(t, func(cfg *token.VerifierConfig) {
		cfg.Now = now.Now
		cfg.Revocations = revocations(func(*token.Claims) (bool, error) {
			if now.Now().Equal(start) {
				return false, nil
			}
			t.Error("asked about an expired token")
			return false, errors.New("no answer")
		})
	})
	raw := sign(t, goodRing(t), goodClaims())
	accepts(t, v, raw)
	refused(t, v, raw+"x", token.ErrInvalid)
	now.set(start.Add(time.Hour))
	refused(t, v, raw, token.ErrInvalid)
}

func TestCachedAndUncachedSayTheSame(t *testing.T) {
	cold := verifier(t, func(cfg *token.VerifierConfig) { cfg.CacheSize = -1 })
	warm := verifier(t, nil)
	raw := sign(t, goodRing(t), goodClaims())
	remembered(t, warm, raw)
	first, second := accepts(t, cold, raw), accepts(t, cold, raw)
	if first == second {
		t.Error("a verifier without a cache remembers")
	}
	if diff := cmp.Diff(first, accepts(t, warm, raw)); diff != "" {
		t.Errorf("(-uncached +cached):\n%s", diff)
	}
}

// What a token says is worth nothing without its signature, remembered or not.
func TestCachedTokenWithAnotherSignature(t *testing.T) {
	v := verifier(t, nil)
	raw := sign(t, goodRing(t), goodClaims())
	remembered(t, v, raw)
	dot := strings.LastIndexByte(raw, '.') + 1
	flipped := []byte(raw)
	flipped[dot] ^= 1
	for _, forged := range []string{raw[:dot], raw[:dot-1], raw[:len(raw)-1], raw + "A", string(flipped), raw[:dot] + strings.Repeat("A", len(raw)-dot), raw[:dot] + strings.Repeat("A", 1000)} {
		refused(t, v, forged, token.ErrInvalid)
		remembered(t, v, raw)
	}
	if n := v.CacheLen(); n != 1 {
		t.Errorf("%d tokens are remembered, not 1", n)
	}
}

func TestRefusedTokensAreNotRemembered(t *testing.T) {
	v := verifier(t, nil)
	for _, bad := range badTokens(t) {
		_, _ = v.Verify(t.Context(), bad.raw)
	}
	if n := v.CacheLen(); n != 0 {
		t.Errorf("%d bad tokens are remembered", n)
	}
}

// tokens signs n tokens that differ in their jti.
func tokens(t *testing.T, n int) []string {
	t.Helper()
	raws := make([]string, n)
	for i := range raws {
		c := goodClaims()
		c.ID = fmt.Sprint(i)
		raws[i] = sign(t, goodRing(t), c)
	}
	return raws
}

func TestCacheBound(t *testing.T) {
	raws := tokens(t, 50)
	for size, bound := range map[int]int{-1: 0, 1: 2, 2: 2, 3: 4, 8: 8, 9: 10} {
		v := verifier(t, func(cfg *token.VerifierConfig) { cfg.CacheSize = size })
		most := 0
		for range 3 {
			for _, raw := range raws {
				accepts(t, v, raw)
				most = max(most, v.CacheLen())
			}
		}
		if most != bound {
			t.Errorf("CacheSize %d: %d tokens were remembered, want %d", size, most, bound)
		}
	}
}

// A token in use stays, however many others pass by.
func TestCacheKeepsWhatIsUsed(t *testing.T) {
	v := verifier(t, func(cfg *token.VerifierConfig) { cfg.CacheSize = 8 })
	raws := tokens(t, 60)
	first := accepts(t, v, raws[0])
	for _, other := range raws[1:] {
		accepts(t, v, other)
		if accepts(t, v, raws[0]) != first {
			t.Fatal("a token in use was forgotten")
		}
	}
}

// Many requests at once: the bound holds, and every token gives its own claims.
func TestCacheConcurrently(t *testing.T) {
	const size, workers, rounds = 16, 8, 10
	source := new(keys)
	source.ring.Store(goodRing(t))
	v := verifier(t, func(cfg *token.VerifierConfig) { cfg.Keys, cfg.CacheSize = source, size })
	raws := tokens(t, 3*size)
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			for i := range rounds * len(raws) {
				n := (i*(worker+1) + worker) % len(raws)
				claims, err := v.Verify(t.Context(), raws[n])
				if err != nil || claims.ID != fmt.Sprint(n) {
					t.Errorf("token %d: %v, %v", n, claims, err)
					return
				}
				if got := v.CacheLen(); got > size {
					t.Errorf("%d tokens are remembered, more than %d", got, size)
					return
				}
				if i%97 == 0 {
					source.ring.Store(goodRing(t)) // the same key, read again
				}
			}
		})
	}
	wg.Wait()
}
