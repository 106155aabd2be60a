package bearer_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/hallpass-auth/hallpass/shared/bearer"
)

// counter counts requests, and responds to none.
type counter struct{ requests atomic.Int64 }

func (c *counter) RoundTrip(*http.Request) (*http.Response, error) {
	c.requests.Add(1)
	return nil, errors.New("no network")
}

// After an error of Open, nothing fetches keys.
func TestOpenThatFailsStartsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		log, _ := newLog()
		for name, change := range map[string]func(*bearer.Config){
			"lists URL":    func(c *bearer.Config) { c.StatusListsURL = "x" },
			"nonce secret": func(c *bearer.Config) { c.DPoPNonceSecret = "short" },
		} {
			network := &counter{}
			cfg := bearer.Config{
				Issuer: issuer, Audience: audience, KeysURL: issuer + "/jwks.json", Transport: network, Log: log,
			}
			change(&cfg)
			if _, err := bearer.Open(ctx, cfg); err == nil {
				t.Errorf("%s: accepted", name)
			}
			synctest.Wait()
			if n := network.requests.Load(); n != 0 {
				t.Errorf("%s: %d requests", name, n)
			}
		}
	})
}
