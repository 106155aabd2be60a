package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// DeleteAccount deletes a user as DeleteUser does, but logs no username. It returns account.ErrChanged if the user is
// disabled or deleted, or the password has been changed since user was read, and account.ErrLastAdministrator for the
// last administrator.
func (s *Store) DeleteAccount(ctx context.Context, user account.User, now time.Time) error {
	err := s.inTx(ctx, "delete account", func(ctx context.Context, tx transaction) error {
		if err := s.lockEmailOf(ctx, tx, user.Username, now); err != nil {
			return err
		}
		if err := KeepAdministrator(ctx, s, tx, user.Username); err != nil {
			return err
		}
		_, err := updateAndEndLogins(ctx, tx, "delete account", now,
			"UPDATE users SET disabled_at = $3 WHERE id = $1 AND password_version = $2 AND disabled_at IS NULL",
			user.ID, user.PasswordVersion, seconds(now))
		if err != nil {
			return err
		}
		_, err = changed(ctx, tx, "rename events", // that no server has logged yet
			"UPDATE admin_events SET subject = $3 WHERE subject = $1 AND event LIKE 'user_%' "+
				"OR subject = $2 AND event LIKE 'invitation_%'", user.Username, user.Email, user.ID)
		if err != nil {
			return err
		}
		groups, err := groupsOf(ctx, tx, user.Username)
		if err != nil {
			return err
		}
		if err := auditUser(ctx, tx, "account_deleted", user.ID, now, rights, rightsChange(groups, nil)); err != nil {
			return err
		}
		return s.deleteUser(ctx, tx, user.Username, now)
	})
	if errors.Is(err, record.ErrNotFound) {
		err = account.ErrChanged
	}
	return err
}

// lockEmailOf is lockEmail for the email address of a user who will be deleted. Call it before the user is locked:
// SignUp and UseEmailLink lock the address first, too. It returns record.ErrNotFound if there is no such user.
func (s *Store) lockEmailOf(ctx context.Context, tx transaction, username string, now time.Time) error {
	var email string
	err := tx.QueryRowContext(ctx, "SELECT email FROM users WHERE username = $1", username).Scan(&email)
	if errors.Is(err, sql.ErrNoRows) {
		return errNoUser
	}
	if err != nil || email == "" {
		return unavailable("read email", err)
	}
	return s.lockEmail(ctx, tx, email, now)
}

// forgetEmail deletes the links and the invitation for the verified email address of a user who is deleted, and what
// the audit log calls it.
func (s *Store) forgetEmail(ctx context.Context, tx transaction, email string, now time.Time) error {
	// This waits only if the address was changed after lockEmailOf has read it.
	if err := s.lockEmail(ctx, tx, email, now); err != nil {
		return err
	}
	for _, query := range []string{
		"DELETE FROM sign_ups WHERE address = $1", "DELETE FROM invitations WHERE address = $1",
	} {
		if _, err := changed(ctx, tx, "forget email", query, account.FoldEmail(email)); err != nil {
			return err
		}
	}
	return forgetPseudonym(ctx, tx, email)
}

// deleteUser deletes a user, who is locked, and what other tables than those that refer to the user have of the user.
// The revoked grants stay, without the user, until their last token has expired.
func (s *Store) deleteUser(ctx context.Context, tx transaction, username string, now time.Time) error {
	var id, email, language string
	var verified bool
	err := tx.QueryRowContext(ctx, "SELECT id, email, email_verified, language FROM users WHERE username = $1", username).
		Scan(&id, &email, &verified, &language)
	if err != nil {
		return unavailable("delete user", err)
	}
	if err := clearAllFailures(ctx, tx, id); err != nil {
		return err
	}
	for _, step := range []struct {
		query string
		args  []any
	}{
		{"UPDATE grants SET session = '', sid = '', address = '', agent = '' WHERE user_id = $1", []any{id}},
		{"UPDATE mail_requests SET due_at = NULL, typed = '', user_id = '' WHERE user_id = $1 " +
			"OR typed <> '' AND kind = $4 AND lower(typed) IN (lower($2), lower($3))",
			[]any{id, username, email, mail.ResetPassword}},
		{"DELETE FROM inbox_mails WHERE lower(recipient) = lower($1)", []any{email}},
		{"DELETE FROM users WHERE id = $1", []any{id}},
	} {
		if _, err := changed(ctx, tx, "delete user", step.query, step.args...); err != nil {
			return err
		}
	}
	if !verified {
		return nil // the address may be somebody else's
	}
	if err := s.forgetEmail(ctx, tx, email, now); err != nil {
		return err
	}
	return s.addMail(ctx, tx, mail.Request{
		Kind: mail.AccountDeleted, Typed: email, Language: language, CreatedAt: now,
	})
}
