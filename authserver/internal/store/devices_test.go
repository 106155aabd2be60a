package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// fillDevices adds that many waiting device codes, each from a network of its own, of clients in turn.
const fillDevices = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
	INSERT INTO device_codes
		(digest, user_code, client_id, audience, scope, network, created_at, expires_at, poll_pause)
	SELECT 'd' || i, 'u' || i, 'client' || (i %% %d), '', '', 'n' || i, %d, %d, 5 FROM n`

// A client and the table have a limited number of device codes, however many networks ask for them.
func TestDeviceLimits(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	for _, tt := range []struct {
		codes, clients int
		newClient      error // what a client without codes gets
	}{
		{grant.MaxDevicesOfClient - 1, 1, nil},
		{grant.MaxDevicesOfClient, 1, nil},
		{grant.MaxDevices, 10, grant.ErrTooManyDevices},
	} {
		s := freshSQLite(t)
		for i := range tt.clients + 1 {
			c := client.Client{ID: fmt.Sprint("client", i), Scope: oauth.Scope{"profile"}, CreatedAt: now}
			if err := s.CreateClient(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		fill := fmt.Sprintf(fillDevices, tt.codes, tt.clients, now.Unix(), now.Add(grant.DeviceLifetime).Unix())
		if err := s.Exec(t.Context(), fill); err != nil {
			t.Fatal(err)
		}
		add := func(id string) error {
			return s.CreateDevice(t.Context(), grant.DeviceCode{
				Digest: id, UserCode: id, ClientID: id, CreatedAt: now, ExpiresAt: now.Add(grant.DeviceLifetime),
			})
		}
		var oldClient error
		if tt.codes >= grant.MaxDevicesOfClient {
			oldClient = grant.ErrTooManyDevices
		}
		if err := add("client0"); !errors.Is(err, oldClient) {
			t.Errorf("%d codes, one more: %v, want %v", tt.codes, err, oldClient)
		}
		if err := add(fmt.Sprint("client", tt.clients)); !errors.Is(err, tt.newClient) {
			t.Errorf("%d codes, one of another client: %v, want %v", tt.codes, err, tt.newClient)
		}
	}
}
