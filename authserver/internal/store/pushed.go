package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// CreatePushed stores a pushed request and deletes a few old ones. It returns grant.ErrClientChanged if the client
// is deleted, and grant.ErrTooManyPushed if a limit of package grant is reached. Concurrent calls may exceed
// a limit by their number.
func (s *Store) CreatePushed(ctx context.Context, p grant.PushedRequest) error {
	return s.inTx(ctx, "create pushed request", func(ctx context.Context, tx transaction) error {
		if err := s.keepClient(ctx, tx, p.ClientID); err != nil {
			return err
		}
		if err := pushedLimit.check(ctx, tx, p.ClientID, p.Network, p.CreatedAt); err != nil {
			return err
		}
		_, err := changed(ctx, tx, "create pushed request",
			"INSERT INTO pushed_requests (digest, client_id, query, network, created_at, expires_at) "+
				"VALUES ($1, $2, $3, $4, $5, $6)",
			p.Digest, p.ClientID, p.Query, p.Network, seconds(p.CreatedAt), seconds(p.ExpiresAt))
		if err != nil {
			return err
		}
		return s.sweepSome(ctx, tx, expiringPushedRequests, p.CreatedAt)
	})
}

// OpenPushed returns the pushed request of a client with this digest, for a browser that opens its request_uri. The
// first call gives the user grant.OpenedLifetime from now. It returns grant.ErrPushedUnknown if there is no
// such request, or it is another client's, has expired or was used.
func (s *Store) OpenPushed(
	ctx context.Context,
	digest, clientID string,
	now time.Time,
) (p grant.PushedRequest, err error) {
	var created, expires, opened sql.NullInt64
	err = s.read.scanRow(ctx,
		"SELECT digest, client_id, query, network, created_at, expires_at, opened_at FROM pushed_requests "+
			"WHERE digest = $1 AND client_id = $2 AND expires_at > $3",
		[]any{digest, clientID, seconds(now)},
		&p.Digest, &p.ClientID, &p.Query, &p.Network, &created, &expires, &opened)
	if errors.Is(err, sql.ErrNoRows) {
		return grant.PushedRequest{}, grant.ErrPushedUnknown
	}
	if err != nil {
		return grant.PushedRequest{}, unavailable("read pushed request", err)
	}
	p.CreatedAt, p.ExpiresAt = timeOf(created), timeOf(expires)
	if opened.Valid {
		return p, nil
	}
	until := seconds(now.Add(grant.OpenedLifetime))
	_, err = s.exec(ctx, "open pushed request",
		"UPDATE pushed_requests SET opened_at = $2, expires_at = $3 WHERE digest = $1 AND opened_at IS NULL",
		digest, seconds(now), until)
	p.ExpiresAt = timeOf(until)
	return p, err
}

// usePushed deletes the pushed request of a code that is being created, if it had one. It returns
// grant.ErrPushedUnknown if the request was used or has expired, and grant.ErrClientChanged as keepClient does. It
// locks the client first, as deleting a client does, which deletes its pushed requests.
func (s *Store) usePushed(ctx context.Context, tx transaction, c grant.Code) error {
	if c.Pushed == "" {
		return nil
	}
	if err := s.keepClient(ctx, tx, c.ClientID); err != nil {
		return err
	}
	return changedOne(ctx, tx, "use pushed request", grant.ErrPushedUnknown,
		"DELETE FROM pushed_requests WHERE digest = $1 AND client_id = $2 AND expires_at > $3",
		c.Pushed, c.ClientID, seconds(c.CreatedAt))
}
