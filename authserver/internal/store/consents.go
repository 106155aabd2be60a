package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"
)

// ConsentedScope returns the scope that the user has allowed the client at an API; nil if none.
func (s *Store) ConsentedScope(ctx context.Context, userID, clientID, audience string) (oauth.Scope, error) {
	var scope string
	err := s.read.scanRow(ctx,
		"SELECT scope FROM api_consents WHERE user_id = $1 AND client_id = $2 AND audience = $3",
		[]any{userID, clientID, s.storedAudience(audience)}, &scope)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return words(scope), unavailable("read consent", err)
}

// SetConsent stores the scope that the user allows the client at an API. It replaces the
// previous scope.
func (s *Store) SetConsent(
	ctx context.Context,
	userID, clientID, audience string,
	scope oauth.Scope,
	now time.Time,
) error {
	_, err := s.write.exec(ctx, "set consent",
		`INSERT INTO api_consents (user_id, client_id, audience, scope, updated_at) VALUES ($1, $2, $3, $4, $5)
		 ON CONFLICT (user_id, client_id, audience) DO UPDATE SET scope = $4, updated_at = $5`,
		userID, clientID, s.storedAudience(audience), scope.String(), seconds(now))
	return err
}

// Consent is the scope that a user has allowed a client at an API.
type Consent struct {
	ClientID  string
	Audience  string
	Scope     oauth.Scope
	UpdatedAt time.Time
}

// Consents returns the consents of the user, sorted by client and API.
func (s *Store) Consents(ctx context.Context, userID string) ([]Consent, error) {
	return list(ctx, s.read, "list consents", func(r row) (Consent, error) {
		var c Consent
		var scope string
		var updated sql.NullInt64
		err := r.Scan(&c.ClientID, &c.Audience, &scope, &updated)
		c.Audience, c.Scope, c.UpdatedAt = s.audience(c.Audience), words(scope), timeOf(updated)
		return c, unavailable("list consents", err)
	}, "SELECT client_id, audience, scope, updated_at FROM api_consents "+
		"WHERE user_id = $1 ORDER BY client_id, audience", userID)
}

// RevokeConsent deletes the user's consents to the client at all APIs and revokes all grants of
// the user to the client, also those that needed no consent. It returns record.ErrNotFound if there is
// neither.
func (s *Store) RevokeConsent(ctx context.Context, userID, clientID string, now time.Time) error {
	return s.inTx(ctx, "revoke consent", func(ctx context.Context, tx *sql.Tx) error {
		deleted, err := changed(ctx, tx, "revoke consent",
			"DELETE FROM api_consents WHERE user_id = $1 AND client_id = $2", userID, clientID)
		if err != nil {
			return err
		}
		_, err = changed(ctx, tx, "delete codes",
			"DELETE FROM codes WHERE user_id = $1 AND client_id = $2 AND redeemed_at IS NULL", userID, clientID)
		if err != nil {
			return err
		}
		revoked, err := revokeGrants(ctx, tx, now, "user_id = $3 AND client_id = $4", userID, clientID)
		if err == nil && deleted+revoked == 0 {
			err = errNoConsent
		}
		return err
	})
}
