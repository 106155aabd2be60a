package bearer_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/bearertest"
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
