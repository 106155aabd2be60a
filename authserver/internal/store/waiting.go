package store

import (
	"context"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// waitingLimit bounds the rows that wait for their users.
type waitingLimit struct {
	from                     string // selects them; the condition that they have not expired follows
	all, ofClient, ofNetwork int64
	tooMany                  error
}

var (
	deviceLimit = waitingLimit{
		from:      "device_codes WHERE user_code IS NOT NULL AND",
		all:       grant.MaxDevices,
		ofClient:  grant.MaxDevicesOfClient,
		ofNetwork: grant.MaxDevicesOfNetwork,
		tooMany:   grant.ErrTooManyDevices,
	}
	pushedLimit = waitingLimit{
		from:      "pushed_requests WHERE",
		all:       grant.MaxPushed,
		ofClient:  grant.MaxPushedOfClient,
		ofNetwork: grant.MaxPushedOfNetwork,
		tooMany:   grant.ErrTooManyPushed,
	}
)

// check returns tooMany if a limit is reached at now: in all, of a client, or of a network, which is empty where it
// does not count.
func (l waitingLimit) check(ctx context.Context, tx transaction, clientID, network string, now time.Time) error {
	var all, ofClient, ofNetwork int64
	err := tx.QueryRowContext(ctx,
		"SELECT COUNT(*), COUNT(*) FILTER (WHERE client_id = $1), "+
			"COUNT(*) FILTER (WHERE network = $2 AND network <> '') FROM "+l.from+" expires_at > $3",
		clientID, network, seconds(now)).Scan(&all, &ofClient, &ofNetwork)
	if err != nil {
		return unavailable("count what waits for users", err)
	}
	if all >= l.all || ofClient >= l.ofClient || ofNetwork >= l.ofNetwork {
		return l.tooMany
	}
	return nil
}
