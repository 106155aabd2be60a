package e2e_test

import (
	"encoding/json"
	"net/http"
	"testing"
)

// outcome is what a client knows after a response. A response that a client cannot expect fails the test.
func (l *login) outcome(what string, got response, err error) reply {
	var members struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
		Error        string `json:"error"`
	}
	if err != nil {
		l.t.Errorf("%s: %v", what, err)
		return reply{outcome: unknown}
	}
	err = json.Unmarshal([]byte(got.body), &members)
	switch {
	case got.status == http.StatusOK && what == "revoke":
		return reply{outcome: done}
	case got.status == http.StatusOK && err == nil && members.RefreshToken != "":
		l.keep(members.RefreshToken, members.AccessToken)
		return reply{done, members.RefreshToken}
	case got.status == http.StatusBadRequest && members.Error == "invalid_grant":
		return reply{outcome: refused}
	case got.status == http.StatusServiceUnavailable && got.header.Get("Retry-After") != "":
		return reply{outcome: unknown}
	}
	l.t.Errorf("%s: %d %v %s, want 200, 400 invalid_grant, or 503 with Retry-After",
		what, got.status, got.header, got.body)
	return reply{outcome: unknown}
}

// keep keeps the tokens of a response.
func (l *login) keep(refresh, access string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.access = access
	if n := len(l.refresh); n == 0 || l.refresh[n-1] != refresh {
		l.refresh = append(l.refresh, refresh)
	}
}

// check ends the clients and checks what they have recorded.
func (c *clients) check(t *testing.T) {
	t.Helper()
	c.stop()
	c.checkEnded(t)
	if c.checked == 0 || c.refused == 0 {
		t.Error("the clients have done too little")
	}
	c.counts.log(t)
}

// checkEnded checks the histories that are complete, and that every API refuses all tokens that were revoked. Then it
// forgets them.
func (c *clients) checkEnded(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	ended, revoked := c.ended, c.revoked
	c.ended, c.revoked = nil, nil
	c.mu.Unlock()
	operations, failed := 0, 0
	for _, l := range ended {
		operations += len(l.history.operations)
		if err := l.history.check(); err != nil {
			failed++
			t.Errorf("login %d of %s: %v", l.number, l.user, err)
		}
	}
	t.Logf("%d histories of %d operations, %d wrong; %d tokens revoked", len(ended), operations, failed, len(revoked))
	c.checked, c.refused = c.checked+len(ended), c.refused+len(revoked)
	for _, access := range revoked {
		for _, api := range c.api {
			waitFor(t, "a revoked token to be refused", func() bool {
				got, err := try(t.Context(), api, get("/users/me", "Bearer "+access))
				return err == nil && got.isInvalidToken()
			})
		}
	}
}
