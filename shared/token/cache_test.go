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

// revocations calls a function of the test.
type revocations func(*token.Claims) (bool, error)

func (f revocations) Revoked(_ context.Context, c *token.Claims) (bool, error) { return f(c) }

// acceptsCached accepts raw twice. It fails the test unless the second result came from the cache.
func acceptsCached(t *testing.T, v *token.Verifier, raw string) {
	t.Helper()
	if first, second := accepts(t, v, raw), accepts(t, v, raw); first != second {
		t.Fatal("the token is not cached")
	}
}

// refused fails the test unless v refuses raw with the error.
func refused(t *testing.T, v *token.Verifier, raw string, want error) {
	t.Helper()
	if claims, err := v.Verify(t.Context(), raw); !errors.Is(err, want) || claims != nil {
		t.Errorf("Verify gave %v, %v, want the error %v", claims, err, want)
	}
}

// A cached token still expires.
func TestCachedTokenExpires(t *testing.T) {
	now := newClock()
	v := verifier(t, func(cfg *token.VerifierConfig) { cfg.Now = now.Now })
	c := goodClaims()
	raw := sign(t, goodRing(t), c)
	acceptsCached(t, v, raw)
	now.set(c.ExpiresAt.Add(token.DefaultLeeway - 1))
	acceptsCached(t, v, raw)
	now.set(c.ExpiresAt.Add(token.DefaultLeeway))
	refused(t, v, raw, token.ErrInvalid)
	now.set(c.ExpiresAt.Add(-time.Minute))
	accepts(t, v, raw) // at the earlier time again
}

// A cached token is refused when its key is removed or replaced.
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
			acceptsCached(t, v, raw)
			source.ring.Store(ring)
			refused(t, v, raw, token.ErrInvalid)
			source.ring.Store(goodRing(t))
			acceptsCached(t, v, raw)
		})
	}
}

// A cached token is refused when its key reaches its exp.
func TestCachedTokenEndsAtTheExpOfItsKey(t *testing.T) {
	now, end := newClock(), start.Add(time.Minute)
	ring := ringOf(t, jwk("k1", secret, `"exp":`+seconds(time.Minute)))
	v := verifier(t, func(cfg *token.VerifierConfig) { cfg.Keys, cfg.Now = ring, now.Now })
	raw := sign(t, ring, goodClaims())
	acceptsCached(t, v, raw)
	now.set(end.Add(-1))
	acceptsCached(t, v, raw)
	now.set(end)
	refused(t, v, raw, token.ErrInvalid)
}

// Revocation is checked for every request, cached or not. If it is unknown, the token is unavailable.
func TestRevocationIsCheckedEveryTime(t *testing.T) {
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
		refused(t, v, raw, failure) // for the log
		if _, err := v.Verify(t.Context(), raw); errors.Is(err, token.ErrInvalid) {
			t.Errorf("an unknown revocation is ErrInvalid: %v", err)
		}
		failure = nil
		accepts(t, v, raw)
		if diff := cmp.Diff([]string{"jti-1", "jti-1", "jti-1", "jti-1", "jti-1", "jti-1", "jti-1"}, asked); diff != "" {
			t.Errorf("checked tokens (-want +got):\n%s", diff)
		}
	}
}

// A token that refers to no revocation bit is invalid.
func TestInvalidRevocationReference(t *testing.T) {
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

// Revocation is only checked for tokens that are otherwise valid.
func TestRevocationIsCheckedLast(t *testing.T) {
	now := newClock()
	v := verifier(t, func(cfg *token.VerifierConfig) {
		cfg.Now = now.Now
		cfg.Revocations = revocations(func(*token.Claims) (bool, error) {
			if now.Now().Equal(start) {
				return false, nil
			}
			t.Error("checked an expired token")
			return false, errors.New("no answer")
		})
	})
	raw := sign(t, goodRing(t), goodClaims())
	accepts(t, v, raw)
	refused(t, v, raw+"x", token.ErrInvalid)
	now.set(start.Add(time.Hour))
	refused(t, v, raw, token.ErrInvalid)
}

func TestCachedAndUncachedClaimsAreEqual(t *testing.T) {
	cold := verifier(t, func(cfg *token.VerifierConfig) { cfg.CacheSize = -1 })
	warm := verifier(t, nil)
	raw := sign(t, goodRing(t), goodClaims())
	acceptsCached(t, warm, raw)
	first, second := accepts(t, cold, raw), accepts(t, cold, raw)
	if first == second {
		t.Error("a verifier without a cache has cached a token")
	}
	if diff := cmp.Diff(first, accepts(t, warm, raw)); diff != "" {
		t.Errorf("(-uncached +cached):\n%s", diff)
	}
}

// A token with another signature than the cached one is refused.
func TestCachedTokenWithAnotherSignature(t *testing.T) {
	v := verifier(t, nil)
	raw := sign(t, goodRing(t), goodClaims())
	acceptsCached(t, v, raw)
	dot := strings.LastIndexByte(raw, '.') + 1
	flipped := []byte(raw)
	flipped[dot] ^= 1
	for _, forged := range []string{
		raw[:dot],
		raw[:dot-1],
		raw[:len(raw)-1],
		raw + "A",
		string(flipped),
		raw[:dot] + strings.Repeat("A", len(raw)-dot),
		raw[:dot] + strings.Repeat("A", 1000),
	} {
		refused(t, v, forged, token.ErrInvalid)
		acceptsCached(t, v, raw)
	}
	if n := v.CacheLen(); n != 1 {
		t.Errorf("%d tokens are cached, not 1", n)
	}
}

func TestRefusedTokensAreNotCached(t *testing.T) {
	v := verifier(t, nil)
	for _, bad := range badTokens(t) {
		_, _ = v.Verify(t.Context(), bad.raw)
	}
	if n := v.CacheLen(); n != 0 {
		t.Errorf("%d invalid tokens are cached", n)
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
			t.Errorf("CacheSize %d: %d tokens were cached, want %d", size, most, bound)
		}
	}
}

// A token in use stays cached, however many others are verified.
func TestCacheKeepsTokensInUse(t *testing.T) {
	v := verifier(t, func(cfg *token.VerifierConfig) { cfg.CacheSize = 8 })
	raws := tokens(t, 60)
	first := accepts(t, v, raws[0])
	for _, other := range raws[1:] {
		accepts(t, v, other)
		if accepts(t, v, raws[0]) != first {
			t.Fatal("a token in use was evicted")
		}
	}
}

// With concurrent requests, the cache keeps its size and every token has its own claims.
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
					t.Errorf("%d tokens are cached, more than %d", got, size)
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
