package bearer_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/bearertest"
	"github.com/hallpass-auth/hallpass/shared/dpop"
)

// The log says at the default level why tokens are refused, so that a wrong configuration explains itself,
// and no more than once a minute, so that a client cannot fill it. Every reason is there at level debug.
func TestRefusalsInTheLog(t *testing.T) {
	for level, want := range map[slog.Level]int{slog.LevelInfo: 2, slog.LevelDebug: 200} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			guard, err := bearer.Open(t.Context(), bearer.Config{
				Issuer:   bearertest.IssuerURL,
				Audience: "https://another.example",
				Keys:     bearertest.New(t).Ring(),
				Log:      slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: level})),
			})
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Authorization", "Bearer "+bearertest.New(t).Token())
			for range 2 {
				for range 100 {
					guard.Authenticate(r)
				}
				time.Sleep(time.Minute)
			}
			if got := strings.Count(log.String(), "reason="); got != want {
				t.Errorf("%v: %d reasons, want %d", level, got, want)
			}
			if !strings.Contains(log.String(), "more_refused_before=99") || !strings.Contains(log.String(), "kid names no key") {
				t.Errorf("%v: log\n%.1000s", level, log.String())
			}
		})
	}
}

// unreachable is a transport without a network.
type unreachable struct{}

func (unreachable) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("no network")
}

// loudLines returns how many lines of a log have a message, and those of them above level debug.
func loudLines(log, message string) (all int, loud []string) {
	for line := range strings.Lines(log) {
		if strings.Contains(line, `msg="`+message+`"`) {
			all++
			if !strings.Contains(line, "level=DEBUG") {
				loud = append(loud, line)
			}
		}
	}
	return all, loud
}

// While the keys cannot be read, a client that invents keys cannot fill the log: one line a minute is above level
// debug, and says how many there were.
func TestUncheckedTokensInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		guard, err := bearer.Open(t.Context(), bearer.Config{
			Issuer:    bearertest.IssuerURL,
			Audience:  bearertest.Audience,
			KeysURL:   bearertest.IssuerURL + "/jwks.json",
			Transport: unreachable{},
			Log:       slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		if err != nil {
			t.Fatal(err)
		}
		stranger := bearertest.New(t)
		token := stranger.Token()
		for range 2 {
			synctest.Wait()
			for range 1000 {
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				r.Header.Set("Authorization", "Bearer "+token)
				if _, refusal := guard.Authenticate(r); refusal == nil || refusal.Status != http.StatusServiceUnavailable {
					t.Fatalf("refusal %+v", refusal)
				}
			}
			time.Sleep(time.Minute)
		}
		synctest.Wait()
		all, loud := loudLines(log.String(), "access token not checked")
		if all != 2000 || len(loud) != 2 || !strings.Contains(loud[0], "level=WARN") ||
			!strings.Contains(loud[0], "more_not_checked_before=0") ||
			!strings.Contains(loud[1], "more_not_checked_before=999") ||
			!strings.Contains(loud[1], "kid names no key that is known here yet") {
			t.Errorf("%d lines, above level debug: %q", all, loud)
		}
	})
}

// A client that fills the memory of proofs cannot fill the log.
func TestUncheckedProofsInTheLog(t *testing.T) {
	a := newDPoPAPI(t)
	var log bytes.Buffer
	guard, err := bearer.Open(t.Context(), bearer.Config{
		Issuer:             bearertest.IssuerURL,
		Audience:           bearertest.Audience,
		Keys:               a.issuer.Ring(),
		AllowMissingStatus: true,
		Log:                slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	a.guard = guard
	base, err := dpop.ParseBase(bearertest.Audience)
	if err != nil {
		t.Fatal(err)
	}
	guard.AcceptDPoP(dpop.NewVerifier(dpop.Config{
		Base: base, Nonces: dpop.NoncesOf(a.issuer.Ring(), bearertest.Audience), Replays: dpop.NewMemory(1),
	}))
	a.call(a.good())
	for range 100 {
		if w := a.call(a.good()); w.Code != http.StatusServiceUnavailable {
			t.Fatalf("status %d", w.Code)
		}
	}
	all, loud := loudLines(log.String(), "DPoP proof not checked")
	if all != 100 || len(loud) != 1 || !strings.Contains(loud[0], "level=WARN") ||
		!strings.Contains(loud[0], fmt.Sprintf("reason=%q", dpop.ErrFull)) {
		t.Errorf("%d lines, above level debug: %q", all, loud)
	}
}
