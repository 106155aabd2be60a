package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
)

// CreatePendingLogin stores a login whose password was right, and uncounts its try, which key names. It deletes a few
// expired ones. It returns grant.ErrInactive if the user is disabled or deleted, or the password has been changed since
// it was checked.
func (s *Store) CreatePendingLogin(ctx context.Context, p secondfactor.PendingLogin, key account.FailureKey) error {
	return s.inTx(ctx, "create pending login", func(ctx context.Context, tx transaction) error {
		// First: a deletion of the user waits for the row that is inserted below.
		if err := giveBackTry(ctx, tx, key); err != nil {
			return err
		}
		err := changedOne(ctx, tx, "create pending login", grant.ErrInactive, "INSERT INTO pending_logins "+
			"(digest, user_id, password_version, client_id, grant_type, continue_at, created_at, expires_at, enrol_link) "+
			"SELECT $1, id, password_version, $4, $5, $6, $7, $8, $9 FROM users "+
			"WHERE id = $2 AND password_version = $3 AND disabled_at IS NULL "+s.dialect.keyShare,
			p.Digest, p.UserID, p.PasswordVersion, p.ClientID, string(p.GrantType), p.ContinueAt,
			seconds(p.CreatedAt), seconds(p.ExpiresAt), p.EnrolLink)
		if err != nil {
			return err
		}
		err = auditUserAtClient(ctx, tx, "second_step_needed", p.UserID, p.ClientID, p.CreatedAt)
		if err != nil {
			return err
		}
		return s.sweepSome(ctx, tx, expiringPendingLogins, p.CreatedAt)
	})
}

// PendingLogin returns the login that waits for its second step under a digest, and its user. It returns
// secondfactor.ErrPendingUnknown if none does: see there.
func (s *Store) PendingLogin(
	ctx context.Context,
	digest string,
	now time.Time,
) (secondfactor.PendingLogin, account.User, error) {
	p := secondfactor.PendingLogin{Digest: digest}
	var created, expires sql.NullInt64
	err := s.read.scanRow(ctx, "SELECT user_id, password_version, client_id, grant_type, continue_at, "+
		"created_at, expires_at, enrol_link FROM pending_logins WHERE digest = $1 AND expires_at > $2 AND created_at <= $3",
		[]any{digest, seconds(now), seconds(now.Add(account.ClockMargin))},
		&p.UserID, &p.PasswordVersion, &p.ClientID, &p.GrantType, &p.ContinueAt, &created, &expires,
		&p.EnrolLink)
	if errors.Is(err, sql.ErrNoRows) {
		return p, account.User{}, secondfactor.ErrPendingUnknown
	}
	if err != nil {
		return p, account.User{}, unavailable("read pending login", err)
	}
	p.CreatedAt, p.ExpiresAt = timeOf(created), timeOf(expires)
	user, err := s.UserByID(ctx, p.UserID)
	if err == nil && (!user.Active() || user.PasswordVersion != p.PasswordVersion) || errors.Is(err, errNoUser) {
		err = secondfactor.ErrPendingUnknown
	}
	return p, user, err
}

// TryPendingLogin counts a try of a second factor. It returns secondfactor.ErrPendingUnknown if the login was tried
// secondfactor.MaxTries times already, or waits no longer. Calls at once are counted one after the other.
func (s *Store) TryPendingLogin(ctx context.Context, digest string) error {
	return s.execOne(ctx, "count try", secondfactor.ErrPendingUnknown,
		"UPDATE pending_logins SET tries = tries + 1 WHERE digest = $1 AND tries < $2", digest, secondfactor.MaxTries)
}
