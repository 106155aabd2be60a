package grant_test

import (
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

func TestLastIssue(t *testing.T) {
	t.Parallel()
	const grace = 10 * time.Second
	start := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	refreshed := grant.Refresh{Replaced: []grant.ReplacedToken{
		{At: start.Add(time.Hour).UnixMilli()}, {At: start.Add(2 * time.Hour).UnixMilli()},
	}}
	for name, tt := range map[string]struct {
		grant grant.Grant
		want  time.Duration
	}{
		"given":     {grant.Grant{Type: oauth.GrantPassword}, 0},
		"device":    {grant.Grant{Type: oauth.GrantDeviceCode}, grant.DeviceLifetime},
		"refreshed": {grant.Grant{Type: oauth.GrantDeviceCode, Refresh: refreshed}, 2*time.Hour + grace},
	} {
		tt.grant.CreatedAt = start
		if got := tt.grant.LastIssue(grace).Sub(start); got != tt.want {
			t.Errorf("%s: %v after the grant was given, want %v", name, got, tt.want)
		}
	}
}
