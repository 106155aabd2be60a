package store

import (
	"context"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
)

// AddClientSecret replaces the digest of a client's secret and keeps the old one until a time. An
// even older one ends. It returns record.ErrNotFound if there is no such client or it has no secret.
func (s *Store) AddClientSecret(ctx context.Context, id, digest string, now, until time.Time) error {
	return s.inTx(ctx, "add client secret", func(ctx context.Context, tx transaction) error {
		err := changedOne(ctx, tx, "add client secret", errNoClient,
			"UPDATE clients SET old_secret_digest = secret_digest, old_secret_beside = $2, old_secret_until = $3, "+
				"secret_digest = $2 WHERE id = $1 AND secret_digest NOT IN ('', $4)",
			id, digest, seconds(until), client.NoSecret)
		if err != nil {
			return err
		}
		return auditAdmin(ctx, tx, "client_secret_added", id, now)
	})
}

// EndOldClientSecret ends the secret before the current one. It returns record.ErrNotFound if
// there is no such client.
func (s *Store) EndOldClientSecret(ctx context.Context, id string, now time.Time) error {
	return s.inTx(ctx, "end old client secret", func(ctx context.Context, tx transaction) error {
		err := changedOne(ctx, tx, "end old client secret", errNoClient,
			"UPDATE clients SET old_secret_digest = '', old_secret_beside = '', old_secret_until = NULL WHERE id = $1", id)
		if err != nil {
			return err
		}
		return auditAdmin(ctx, tx, "client_old_secret_ended", id, now)
	})
}

// hasSecret is the condition that a client has a secret with the digest of a parameter, such as $2: the
// current one, or the old one beside it. A server may have read the client before the secret was added.
func hasSecret(parameter string) string {
	return "(secret_digest = " + parameter +
		" OR (old_secret_digest = " + parameter + " AND old_secret_beside = secret_digest))"
}
