package revocation_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/authserver/internal/revocation"
)

// The provider tells how many revocations each update has brought, and how late the newest was. Those that it has read
// first are not new, and none counts twice.
func TestPublished(t *testing.T) {
	p := newPlace(t)
	var grants []int
	var delays []time.Duration
	provider := p.provider(func(cfg *revocation.Config) {
		cfg.Published = func(n int, delay time.Duration) { grants, delays = append(grants, n), append(delays, delay) }
	})
	old, first, second, third := p.grant(), p.grant(), p.grant(), p.grant()
	p.revoke(old, p.clock())
	p.wait(time.Second)
	p.expect(provider, old)

	p.revoke(first, p.clock())
	p.revoke(second, p.clock())
	p.wait(time.Second)
	p.expect(provider, old, first, second)
	p.revoke(third, p.clock())
	p.wait(3 * time.Second)
	p.expect(provider, old, first, second, third)
	p.wait(time.Second)
	p.expect(provider, old, first, second, third)

	if diff := cmp.Diff([]int{2, 1}, grants); diff != "" {
		t.Errorf("grants (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]time.Duration{time.Second, 3 * time.Second}, delays); diff != "" {
		t.Errorf("delays (-want +got):\n%s", diff)
	}
}
