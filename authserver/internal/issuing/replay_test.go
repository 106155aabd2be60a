package issuing_test

import (
	"errors"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
)

// RFC 6749 section 4.1.2: using a code a second time ends the grant that the first use gave, even
// if the code has expired by then. An unused code just expires.
func TestReplayOfExpiredCode(t *testing.T) {
	b := newBench(t)
	b.session()
	e := issuing.New(b.cfg)
	used, unused := b.redemption(e), b.redemption(e)
	_, err := b.issue(e, used, b.app)
	must(t, err)
	b.expectGrants(1)
	b.now = b.now.Add(grant.CodeLifetime + time.Second)
	if _, err := b.issue(e, unused, b.app); !errors.Is(err, oauth.ErrInvalidGrant) {
		t.Errorf("an expired code: %v, want invalid_grant", err)
	}
	b.expectGrants(1)
	if _, err := b.issue(e, used, b.app); !errors.Is(err, oauth.ErrInvalidGrant) {
		t.Errorf("the replay: %v, want invalid_grant", err)
	}
	b.expectGrants(0)
}
