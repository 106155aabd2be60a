package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/deploy/bench/internal/load"
	"github.com/hallpass-auth/hallpass/shared/token"
)

const (
	tokenRounds = 5
	tokenRound  = 200 * time.Millisecond // of one of the benchmarks
)

// benchmark is one thing done to a token.
type benchmark struct {
	what    string
	run     func() error
	ns      []float64
	allocs  int64
	ofFloor []float64
}

// measureTokens compares signing and verifying with the one HMAC that each needs.
func measureTokens(ctx context.Context, h *house, _ options) ([]row, error) {
	floor, marks, err := h.tokenBenchmarks()
	if err != nil {
		return nil, err
	}
	testing.Init()
	if err := flag.Set("test.benchtime", tokenRound.String()); err != nil {
		return nil, err
	}
	for range tokenRounds {
		bare, err := floor.measure(ctx)
		if err != nil {
			return nil, err
		}
		for _, m := range marks {
			ns, err := m.measure(ctx)
			if err != nil {
				return nil, err
			}
			m.ofFloor = append(m.ofFloor, ns/bare)
		}
	}
	rows := []row{{what: "**Tokens** (floor: HMAC-SHA256 over the same bytes)"}}
	for _, m := range marks {
		rows = append(rows, row{m.what, m.cost(), floor.cost(), ratioText(load.SpreadOf(m.ofFloor)), ""})
	}
	return rows, nil
}

// tokenBenchmarks returns what is measured, for a token like those that users get.
func (h *house) tokenBenchmarks() (floor *benchmark, marks []*benchmark, err error) {
	now := time.Now()
	key, err := h.keys.Current().Signer(now)
	if err != nil {
		return nil, nil, err
	}
	signer := &token.Signer{Keys: h.keys}
	claims := sampleClaims("1b4e28ba-2fa1-41d2-883f-0016d3cca427", now)
	raw, err := signer.Sign(claims)
	if err != nil {
		return nil, nil, err
	}
	config := token.VerifierConfig{Keys: h.keys, Issuer: issuer, Audience: audience}
	caching, err := token.NewVerifier(config)
	if err != nil {
		return nil, nil, err
	}
	config.CacheSize = -1
	forgetful, err := token.NewVerifier(config)
	if err != nil {
		return nil, nil, err
	}
	signed := []byte(raw[:strings.LastIndexByte(raw, '.')])
	floor = &benchmark{run: func() error {
		mac := hmac.New(sha256.New, key.Secret())
		mac.Write(signed)
		mac.Sum(nil)
		return nil
	}}
	return floor, []*benchmark{
		{what: "sign", run: func() error { _, err := signer.Sign(claims); return err }},
		{what: "verify, seen for the first time", run: func() error { _, err := forgetful.Verify(context.Background(), raw); return err }},
		{what: "verify, seen before", run: func() error { _, err := caching.Verify(context.Background(), raw); return err }},
	}, nil
}

// measure runs the benchmark once more and returns the nanoseconds of an operation.
func (m *benchmark) measure(ctx context.Context) (float64, error) {
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	var failed error
	result := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if failed = m.run(); failed != nil {
				b.FailNow()
			}
		}
	})
	if failed != nil {
		return 0, failed
	}
	ns := float64(result.T.Nanoseconds()) / float64(result.N)
	m.ns, m.allocs = append(m.ns, ns), result.AllocsPerOp()
	return ns, nil
}

// cost shows the median of the time, and the allocations.
func (m *benchmark) cost() string {
	return fmt.Sprintf("%.0f ns, %d allocations", load.SpreadOf(m.ns).Median, m.allocs)
}
