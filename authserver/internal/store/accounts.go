package store

import (
	"context"
	"strconv"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
)

// ChangeName sets the display name of a user. It returns record.ErrNotFound if the user is disabled or deleted.
func (s *Store) ChangeName(ctx context.Context, userID, name string, now time.Time) error {
	return s.inTx(ctx, "change name", func(ctx context.Context, tx transaction) error {
		err := changedOne(ctx, tx, "change name", errNoUser,
			"UPDATE users SET name = $2, updated_at = $3 WHERE id = $1 AND disabled_at IS NULL", userID, name, seconds(now))
		if err != nil {
			return err
		}
		return auditUser(ctx, tx, "account_name_changed", userID, now)
	})
}

// ChangePassword sets the password hash of a user, who is then no longer a demo user, and queues an email to the user.
// It ends all logins of the user but one session, which it renews, and deletes the user's failed logins. It returns
// account.ErrChanged if the user is disabled or deleted, or the password has been changed since user was read.
func (s *Store) ChangePassword(
	ctx context.Context,
	user account.User,
	hash string,
	r account.Renewal,
	now time.Time,
) error {
	return s.inTx(ctx, "change password", func(ctx context.Context, tx transaction) error {
		err := changedOne(ctx, tx, "change password", account.ErrChanged,
			"UPDATE users SET password_hash = $3, password_version = password_version + 1, demo = 0 "+
				"WHERE id = $1 AND password_version = $2 AND disabled_at IS NULL", user.ID, user.PasswordVersion, hash)
		if err != nil {
			return err
		}
		if err := endAllAndRenew(ctx, tx, user.ID, r, now); err != nil {
			return err
		}
		if err := forgetAttempts(ctx, tx, user.ID); err != nil {
			return err
		}
		if err := s.finishLogin(ctx, tx, user.ID, user.Login, now); err != nil { // the user is at this address
			return err
		}
		if err := auditUser(ctx, tx, "account_password_changed", user.ID, now); err != nil {
			return err
		}
		return s.addMail(ctx, tx, mail.Request{Kind: mail.PasswordChanged, UserID: user.ID, CreatedAt: now})
	})
}

// EndOtherLogins ends all logins of a user, in browsers and at clients, but the session with the digest keep and the
// grants given in it. It returns record.ErrNotFound if there is no such user. It locks the user first, like
// everything that ends sessions.
func (s *Store) EndOtherLogins(ctx context.Context, userID, keep string, now time.Time) error {
	return s.inTx(ctx, "end other logins", func(ctx context.Context, tx transaction) error {
		if err := changedOne(ctx, tx, "lock user", errNoUser, lockUser+"id = $1", userID); err != nil {
			return err
		}
		if err := auditUser(ctx, tx, "account_logins_ended", userID, now); err != nil {
			return err
		}
		return endOthers(ctx, tx, userID, keep, now)
	})
}

// endAllAndRenew ends all logins of a user, who is locked, except the session r.From, which it renews. Somebody may
// have copied the session's cookie and logged in to apps with it, so its codes and grants end too; the user's own apps
// get a new login without asking. A session that has ended is not renewed.
func endAllAndRenew(ctx context.Context, tx transaction, userID string, r account.Renewal, now time.Time) error {
	if err := endAll(ctx, tx, userID, r.From, now); err != nil {
		return err
	}
	// Its clients were told that it has ended, so it gets another public identifier, which comes from the new digest.
	_, err := changed(ctx, tx, "renew session",
		"UPDATE sessions SET digest = $2, sid = '' WHERE digest = $1", r.From, r.To)
	return err
}

// endAll deletes the codes of a user, who is locked, and ends all logins except the session keep. The codes and grants
// of that session end too.
func endAll(ctx context.Context, tx transaction, userID, keep string, now time.Time) error {
	if _, err := changed(ctx, tx, "end codes", "DELETE FROM codes WHERE user_id = $1", userID); err != nil {
		return err
	}
	return endLogins(ctx, tx, userID, keep, now)
}

// endLogins deletes the sessions of a user except keep, and revokes all grants. It leaves the codes: a redeemed one is
// needed to detect its reuse, and an unused one cannot be redeemed without its session.
func endLogins(ctx context.Context, tx transaction, userID, keep string, now time.Time) error {
	err := addNotices(ctx, tx, now, "grants.user_id = $2 AND "+ofActive, userID)
	if err != nil {
		return err
	}
	_, err = changed(ctx, tx, "end sessions", "DELETE FROM sessions WHERE user_id = $1 AND digest <> $2", userID, keep)
	if err != nil {
		return err
	}
	_, err = revokeGrants(ctx, tx, now, "user_id = $3", userID)
	return err
}

// endOthers ends all logins of a user, who is locked, but the session keep and its grants.
func endOthers(ctx context.Context, tx transaction, userID, keep string, now time.Time) error {
	err := addNotices(ctx, tx, now, "grants.user_id = $2 AND grants.session <> $3 AND "+ofActive, userID, keep)
	if err != nil {
		return err
	}
	_, err = changed(ctx, tx, "end sessions", "DELETE FROM sessions WHERE user_id = $1 AND digest <> $2", userID, keep)
	if err != nil {
		return err
	}
	_, err = revokeGrants(ctx, tx, now, "user_id = $3 AND session <> $4", userID, keep)
	return err
}

// EndLogin revokes a grant of a user, and the client is told. It returns record.ErrNotFound if the grant is not this
// user's, or has ended.
func (s *Store) EndLogin(ctx context.Context, userID string, number int64, now time.Time) error {
	return s.inTx(ctx, "end login", func(ctx context.Context, tx transaction) error {
		err := addNotices(ctx, tx, now,
			"grants.number = $2 AND grants.user_id = $3 AND grants.revoked_at IS NULL", number, userID)
		if err != nil {
			return err
		}
		n, err := revokeGrants(ctx, tx, now, "number = $3 AND user_id = $4", number, userID)
		if err == nil && n == 0 {
			err = errNoGrant
		}
		if err != nil {
			return err
		}
		event := ended(ctx, userID, "account_login_ended", "user_login_ended")
		return auditUser(ctx, tx, event, userID, now, "grant", strconv.FormatInt(number, 10))
	})
}
