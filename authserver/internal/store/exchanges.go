package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// findExchange finds the active grant of an exchange that is equal to a new one in everything but the time.
var findExchange = "SELECT number FROM grants WHERE parent = $1 " +
	"AND client_id = (SELECT id FROM clients WHERE id = $2 AND " + hasSecret("$3") + ") " +
	"AND user_id = $4 AND audience = $5 AND scope = $6 AND actors = $7 AND expires_at = $8 " +
	"AND revoked_at IS NULL"

// StartExchange returns the number of the grant of an exchanged token. It starts the grant unless there is an equal
// one, so that exchanging a token again stores nothing. It returns grant.ErrInactive if the user is disabled or
// deleted or the parent is revoked or expired, and grant.ErrClientChanged as insertGrant does.
//
// Whatever revokes the parent revokes the grant as well: it locks the parent, so that it is revoked before this
// grant is stored, or finds this grant. It locks the user and the client first, as the others do.
func (s *Store) StartExchange(ctx context.Context, g grant.Grant) (number int64, err error) {
	same := []any{
		g.Parent, g.ClientID, g.SecretDigest, g.UserID, s.storedAudience(g.Audience), g.Scope.String(),
		strings.Join(g.Actors, " "), seconds(g.ExpiresAt),
	}
	err = s.read.scanRow(ctx, findExchange+" LIMIT 1", same, &number)
	if !errors.Is(err, sql.ErrNoRows) {
		return number, unavailable("find exchange", err)
	}
	err = s.inTx(ctx, "start exchange", func(ctx context.Context, tx transaction) error {
		if err := s.lockParent(ctx, tx, g); err != nil {
			return err
		}
		err := tx.QueryRowContext(ctx, findExchange+" LIMIT 1", same...).Scan(&number)
		if !errors.Is(err, sql.ErrNoRows) {
			return unavailable("find exchange", err)
		}
		if number, err = s.insertGrant(ctx, tx, g); err != nil {
			return err
		}
		_, err = changed(ctx, tx, "record exchange",
			"UPDATE grants SET parent = $2, actors = $3 WHERE number = $1",
			number, g.Parent, strings.Join(g.Actors, " "))
		return err
	})
	return number, err
}

// lockParent locks the user, the client and the parent of an exchange until the transaction ends. It returns
// grant.ErrInactive if the user or the parent is not active, and grant.ErrClientChanged as lockClient does.
func (s *Store) lockParent(ctx context.Context, tx transaction, g grant.Grant) error {
	var user string
	err := tx.QueryRowContext(ctx, "SELECT id FROM users WHERE id = $1 AND disabled_at IS NULL "+s.dialect.share,
		g.UserID).Scan(&user)
	if err == nil {
		if err := s.lockClient(ctx, tx, g); err != nil {
			return err
		}
		var parent int64
		err = tx.QueryRowContext(ctx,
			"SELECT number FROM grants WHERE number = $1 AND user_id = $2 AND revoked_at IS NULL AND expires_at > $3 "+
				s.dialect.forUpdate, g.Parent, g.UserID, seconds(g.CreatedAt)).Scan(&parent)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return grant.ErrInactive
	}
	return unavailable("lock grant", err)
}
