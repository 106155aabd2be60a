package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/token"
)

// The rounds of each operation on a token.
const (
	tokenRounds = 10
	tokenRound  = 100 * time.Millisecond
)

// measureTokens compares signing and verifying a token with one HMAC over it.
func measureTokens(ctx context.Context, b *bench) ([]row, error) {
	auth, err := b.serveAuth(ctx, 0, b.sqlite("tokens"), lowCost)
	if err != nil {
		return nil, err
	}
	defer auth.stop()
	login, err := logIn(ctx, auth)
	if err != nil {
		return nil, err
	}
	raw, config := login.Access, token.VerifierConfig{Keys: b.keys, Issuer: issuer, Audience: audience}
	cached, errCached := token.NewVerifier(config)
	config.CacheSize = -1
	uncached, errUncached := token.NewVerifier(config)
	key, errKey := b.keys.Current().Signer(time.Now())
	if err := errors.Join(errCached, errUncached, errKey); err != nil {
		return nil, err
	}
	claims, err := cached.Verify(ctx, raw)
	if err != nil {
		return nil, err
	}
	signer := &token.Signer{Keys: b.keys}
	signed := []byte(raw[:strings.LastIndexByte(raw, '.')])
	operations := []struct {
		name  string
		run   func() error
		times []float64 // ns, by round
	}{
		{name: "HMAC", run: func() error {
			mac := hmac.New(sha256.New, key.Secret())
			mac.Write(signed)
			mac.Sum(nil)
			return nil
		}},
		{name: "sign", run: func() error { _, err := signer.Sign(claims); return err }},
		{name: "verify, first time", run: func() error { _, err := uncached.Verify(ctx, raw); return err }},
		{name: "verify, cached", run: func() error { _, err := cached.Verify(ctx, raw); return err }},
	}
	for i := range tokenRounds * len(operations) {
		op := &operations[i%len(operations)]
		ns, err := timeOperation(op.run)
		if err != nil {
			return nil, err
		}
		op.times = append(op.times, ns)
	}
	rows := []row{{what: "**Tokens** (floor: HMAC-SHA256 over the same bytes)"}}
	for _, op := range operations[1:] {
		rows = append(rows, compare(op.name, "%.0f ns", op.times, operations[0].times, 0))
	}
	return rows, nil
}

// timeOperation returns the time of one operation in nanoseconds.
func timeOperation(op func() error) (float64, error) {
	begin, count := time.Now(), 0
	for ; time.Since(begin) < tokenRound; count += 10 {
		for range 10 {
			if err := op(); err != nil {
				return 0, err
			}
		}
	}
	return float64(time.Since(begin).Nanoseconds()) / float64(count), nil
}
