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

// ConsentRevocations returns how often the user's consents to the client have been revoked. A
// code is bound to the number that was read before the consent was: see grant.Code.
func (s *Store) ConsentRevocations(ctx context.Context, userID, clientID string) (times int64, err error) {
	err = s.read.scanRow(ctx, "SELECT times FROM consent_revocations WHERE user_id = $1 AND client_id = $2",
		[]any{userID, clientID}, &times)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return times, unavailable("read consent revocations", err)
}

// AddConsent adds a scope to what the user allows the client at an API. It returns
// record.ErrNotFound if the API is not registered. It locks the consent that it adds to: what is
// revoked meanwhile stays revoked.
func (s *Store) AddConsent(
	ctx context.Context,
	userID, clientID, audience string,
	scope oauth.Scope,
	now time.Time,
) error {
	return s.inTx(ctx, "add consent", func(ctx context.Context, tx transaction) error {
		stored := s.storedAudience(audience)
		if err := s.lockAPI(ctx, tx, stored); err != nil {
			return err
		}
		scope, err := s.withConsented(ctx, tx, scope, userID, clientID, stored)
		if err != nil {
			return err
		}
		_, err = changed(ctx, tx, "add consent",
			`INSERT INTO api_consents (user_id, client_id, audience, scope, updated_at) VALUES ($1, $2, $3, $4, $5)
		 ON CONFLICT (user_id, client_id, audience) DO UPDATE SET scope = $4, updated_at = $5`,
			userID, clientID, stored, scope.String(), seconds(now))
		if err != nil {
			return err
		}
		return auditUserAtClient(ctx, tx, "consent", userID, clientID, now, "scope", scope.String(), "audience", audience)
	})
}

// withConsented returns the scope that is consented to already, which it locks, and then the rest
// of the given scope.
func (s *Store) withConsented(
	ctx context.Context,
	tx transaction,
	scope oauth.Scope,
	userID, clientID, stored string,
) (oauth.Scope, error) {
	var before string
	err := tx.QueryRowContext(ctx, "SELECT scope FROM api_consents "+
		"WHERE user_id = $1 AND client_id = $2 AND audience = $3 "+s.dialect.forUpdate,
		userID, clientID, stored).Scan(&before)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, unavailable("read consent", err)
	}
	all := oauth.Scope(words(before))
	for _, t := range scope {
		if !all.Has(t) {
			all = append(all, t)
		}
	}
	return all, nil
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
// the user to the client, also those that needed no consent. The client is told. It returns record.ErrNotFound if
// there is neither.
//
// It ends authorizations that are under way: the codes that exist, and those that a request checked
// before will create. It locks the user first, as RedeemCode does, so that it finds the grant of a
// code that is being redeemed, or the code is not redeemed.
func (s *Store) RevokeConsent(ctx context.Context, userID, clientID string, now time.Time) error {
	return s.inTx(ctx, "revoke consent", func(ctx context.Context, tx transaction) error {
		_, err := changed(ctx, tx, "lock user", lockUser+"id = $1", userID)
		if err != nil {
			return err
		}
		codes, err := changed(ctx, tx, "delete codes",
			"DELETE FROM codes WHERE user_id = $1 AND client_id = $2 AND redeemed_at IS NULL", userID, clientID)
		if err != nil {
			return err
		}
		deleted, err := changed(ctx, tx, "revoke consent",
			"DELETE FROM api_consents WHERE user_id = $1 AND client_id = $2", userID, clientID)
		if err != nil {
			return err
		}
		err = addNotices(ctx, tx, now, "grants.user_id = $2 AND grants.client_id = $3 AND "+ofActive, userID, clientID)
		if err != nil {
			return err
		}
		revoked, err := revokeGrants(ctx, tx, now, "user_id = $3 AND client_id = $4", userID, clientID)
		if err == nil && codes+deleted+revoked == 0 {
			err = errNoConsent
		}
		if err != nil {
			return err
		}
		if err := auditUserAtClient(ctx, tx, "consent_revoked", userID, clientID, now); err != nil {
			return err
		}
		return countRevocations(ctx, tx, "users.id = $1 AND clients.id = $2", userID, clientID)
	})
}

// countRevocations counts a revocation of the consents of the users to the clients that meet the
// condition, so that codes of requests that were checked before cannot be redeemed.
func countRevocations(ctx context.Context, tx transaction, condition string, args ...any) error {
	_, err := changed(ctx, tx, "count revocations",
		"INSERT INTO consent_revocations (user_id, client_id, times) "+
			"SELECT users.id, clients.id, 1 FROM users, clients WHERE "+condition+" "+
			"ON CONFLICT (user_id, client_id) DO UPDATE SET times = consent_revocations.times + 1", args...)
	return err
}
