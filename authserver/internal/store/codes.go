package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// codeMemory is how long a code is kept after it has expired, so that a replay is detected.
const codeMemory = time.Hour

// CreateCode stores an authorization code, ends the pushed request that it is for, if there is one, and deletes
// a few old codes. It returns record.ErrNotFound if the API is not registered, and grant.ErrPushedUnknown if the
// pushed request was used or has expired. Of calls at once for one pushed request, one succeeds.
func (s *Store) CreateCode(ctx context.Context, c grant.Code) error {
	err := s.inTx(ctx, "create code", func(ctx context.Context, tx transaction) error {
		audience := s.storedAudience(c.Audience)
		if err := s.lockAPI(ctx, tx, audience); err != nil {
			return err
		}
		if err := s.usePushed(ctx, tx, c); err != nil {
			return err
		}
		_, err := changed(ctx, tx, "create code",
			"INSERT INTO codes (digest, client_id, user_id, session, audience, redirect_uri, scope, "+
				"challenge, created_at, expires_at, consent_revocations, nonce, auth_time, methods, sid, jkt) "+
				"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
			c.Digest,
			c.ClientID,
			c.UserID,
			c.Session,
			audience,
			c.RedirectURI,
			c.Scope.String(),
			c.Challenge,
			seconds(c.CreatedAt),
			seconds(c.ExpiresAt),
			c.ConsentRevocations,
			c.Nonce,
			seconds(c.Authentication.At),
			strings.Join(c.Authentication.Methods, " "),
			c.Authentication.SessionID,
			c.KeyThumbprint,
		)
		return err
	})
	if err != nil {
		return err
	}
	s.sweepAfter(ctx, expiringCodes, c.CreatedAt)
	return nil
}

// CodeByDigest returns a code, redeemed or not. It returns grant.ErrCodeUnknown if there is no
// such code.
func (s *Store) CodeByDigest(ctx context.Context, digest string) (grant.Code, error) {
	var c grant.Code
	var scope, methods string
	var created, expires, revocations, authenticated sql.NullInt64
	err := s.read.scanRow(ctx,
		"SELECT digest, client_id, user_id, session, audience, redirect_uri, scope, challenge, "+
			"created_at, expires_at, consent_revocations, nonce, auth_time, methods, sid, jkt FROM codes WHERE digest = $1",
		[]any{digest},
		&c.Digest, &c.ClientID, &c.UserID, &c.Session, &c.Audience, &c.RedirectURI, &scope, &c.Challenge,
		&created, &expires, &revocations, &c.Nonce, &authenticated, &methods, &c.Authentication.SessionID,
		&c.KeyThumbprint)
	if errors.Is(err, sql.ErrNoRows) {
		return grant.Code{}, grant.ErrCodeUnknown
	}
	c.Audience, c.Scope = s.audience(c.Audience), words(scope)
	c.Authentication.At, c.Authentication.Methods = timeOf(authenticated), words(methods)
	c.CreatedAt, c.ExpiresAt, c.ConsentRevocations = timeOf(created), timeOf(expires), revocations.Int64
	return c, unavailable("read code", err)
}

// RedeemCode marks a code as used, starts a grant in the session of the code, and returns the
// grant's number. For a code that is already used it returns grant.ErrCodeUsed with the number of
// the grant that the code started, or grant.ErrCodeUndecided while that attempt is not confirmed. It
// returns grant.ErrCodeUnknown if the code is unknown or
// expired, its session has ended, or the consents of its user to its client have been revoked, and
// grant.ErrInactive if the user is disabled or deleted, and grant.ErrClientChanged if the client is
// deleted or has another secret than g says. A code that was made at a time ahead of now counts as
// expired.
//
// It locks the user first, as everything that ends sessions does: ending a session ends the code
// or finds the grant. It locks the client before the code, because deleting a client deletes its
// codes: the other order would deadlock.
func (s *Store) RedeemCode(ctx context.Context, digest string, g grant.Grant) (number int64, err error) {
	var used error // returned after the commit
	err = s.inTx(ctx, "redeem code", func(ctx context.Context, tx transaction) error {
		used = nil
		if err := lockForLogin(ctx, tx, g); err != nil {
			return err
		}
		if err := s.lockClient(ctx, tx, g); err != nil {
			return err
		}
		err := redeem(func() error {
			return markCode(ctx, tx, digest, &g)
		}, func() (err error) {
			number, err = s.usedCode(ctx, tx, digest, g.CreatedAt)
			return err
		})
		if used, err = settle(ctx, tx, "codes", digest, err); used != nil || err != nil {
			return err
		}
		if number, err = s.insertGrant(ctx, tx, g); err != nil {
			return err
		}
		_, err = changed(ctx, tx, "record grant of code",
			"UPDATE codes SET grant_number = $2 WHERE digest = $1", digest, number)
		return err
	})
	return number, cmp.Or(err, used)
}

// markCode marks a code as used by the attempt of a grant, and puts its session into the grant. It returns
// sql.ErrNoRows if the code cannot be used.
func markCode(ctx context.Context, tx transaction, digest string, g *grant.Grant) error {
	return tx.QueryRowContext(ctx,
		"UPDATE codes SET redeemed_at = $2, attempt = $4 "+
			"WHERE digest = $1 AND redeemed_at IS NULL AND expires_at > $2 AND created_at <= $3 "+
			"AND EXISTS (SELECT 1 FROM sessions WHERE sessions.digest = codes.session) "+
			"AND (consent_revocations IS NULL OR consent_revocations = COALESCE((SELECT times "+
			"FROM consent_revocations AS r WHERE r.user_id = codes.user_id AND r.client_id = codes.client_id), 0)) "+
			"RETURNING session",
		digest, seconds(g.CreatedAt), seconds(g.CreatedAt.Add(account.ClockMargin)), g.Attempt).Scan(&g.Session)
}

// lockClient locks the client of a new grant against deletion and ReplaceClientSecret until the
// transaction ends. It returns grant.ErrClientChanged if the client is deleted or has another secret
// than the grant says.
func (s *Store) lockClient(ctx context.Context, tx transaction, g grant.Grant) error {
	var id string
	err := tx.QueryRowContext(ctx,
		"SELECT id FROM clients WHERE id = $1 AND "+hasSecret("$2")+" "+s.dialect.keyShare,
		g.ClientID, g.SecretDigest).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return grant.ErrClientChanged
	}
	return unavailable("lock client", err)
}

// usedCode locks a code, and returns why it could not be redeemed: grant.ErrCodeUsed and the number of the
// grant that the code started, grant.ErrCodeUndecided, errNotRedeemed, or grant.ErrCodeUnknown.
func (s *Store) usedCode(
	ctx context.Context,
	tx transaction,
	digest string,
	now time.Time,
) (number int64, err error) {
	var given, redeemed sql.NullInt64
	var attempt string
	err = tx.QueryRowContext(ctx,
		"SELECT grant_number, redeemed_at, attempt FROM codes WHERE digest = $1 "+s.dialect.forUpdate, digest).
		Scan(&given, &redeemed, &attempt)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, grant.ErrCodeUnknown
	case err != nil:
		return 0, unavailable("read code", err)
	case !given.Valid:
		return 0, errNotRedeemed
	}
	return given.Int64, undecided(attempt, redeemed, now)
}
