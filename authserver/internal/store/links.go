package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// Conditions under which a link works, in a join of users and links. $2 is the time.
var (
	linkWorks = "users.id = links.user_id AND users.disabled_at IS NULL AND users.email = links.email " +
		"AND users.email_verified = 1 AND users.password_version = links.password_version " +
		"AND links.expires_at > $2 AND links.created_at <= $2 + " + clockMargin +
		" AND links.kind = '" + string(account.ResetLink) + "'"

	emailLinkWorks = "users.id = links.user_id AND users.disabled_at IS NULL AND users.email = links.email " +
		"AND users.password_version = links.password_version AND links.expires_at > $2 " +
		"AND links.created_at <= $2 + " + clockMargin + " " +
		"AND (links.kind = '" + string(account.ChangeLink) + "' " +
		"OR links.kind = '" + string(account.VerifyLink) + "' AND users.email_verified = 0)"
)

// CreateLink stores a link of a user, and deletes a few expired links. It stores none if the user was deleted. It locks
// the user's row, which DeleteUser may be about to delete.
func (s *Store) CreateLink(ctx context.Context, l account.Link) error {
	return s.inTx(ctx, "create link", func(ctx context.Context, tx transaction) error {
		return s.createLink(ctx, tx, l)
	})
}

// createLink is CreateLink in a transaction.
func (s *Store) createLink(ctx context.Context, tx transaction, l account.Link) error {
	_, err := changed(ctx, tx, "create link",
		"INSERT INTO links (digest, kind, user_id, email, new_email, password_version, created_at, expires_at) "+
			"SELECT $1, $7, id, $3, $8, $4, $5, $6 FROM users WHERE id = $2 "+s.dialect.keyShare,
		l.Digest,
		l.User.ID,
		l.User.Email,
		l.User.PasswordVersion,
		seconds(l.CreatedAt),
		seconds(l.ExpiresAt),
		l.Kind,
		l.NewEmail,
	)
	if err != nil {
		return err
	}
	return s.sweepSome(ctx, tx, expiringLinks, l.CreatedAt)
}

// ResetLinkUser returns the user who can choose a new password by the link with this digest, or
// account.ErrLinkUnknown. It changes nothing.
func (s *Store) ResetLinkUser(ctx context.Context, digest string, now time.Time) (account.User, error) {
	u, err := one(ctx, s.read, scanUser, "SELECT "+userColumns+" FROM users WHERE EXISTS "+
		"(SELECT 1 FROM links WHERE links.digest = $1 AND "+linkWorks+")", digest, seconds(now))
	if errors.Is(err, record.ErrNotFound) {
		err = account.ErrLinkUnknown
	}
	return u, err
}

// UseResetLink sets the password hash of a link's user, as SetPassword does. The link
// works once: it returns account.ErrLinkUnknown if the link does not work any longer. It locks the user first,
// like everything that ends sessions.
func (s *Store) UseResetLink(ctx context.Context, digest, hash string, now time.Time) error {
	u, err := s.ResetLinkUser(ctx, digest, now)
	if err != nil {
		return err
	}
	return s.inTx(ctx, "use link", func(ctx context.Context, tx transaction) error {
		if err := useLink(ctx, tx, linkWorks, digest, u.ID, now); err != nil {
			return err
		}
		if err := s.setPassword(ctx, tx, u.Username, hash, now); err != nil {
			return err
		}
		return auditUser(ctx, tx, "password_reset", u.ID, now)
	})
}

// useLink locks a user and deletes the user's link. It returns account.ErrLinkUnknown unless the link works. The
// condition is linkWorks or emailLinkWorks.
func useLink(ctx context.Context, tx transaction, condition, digest, userID string, now time.Time) error {
	err := changedOne(ctx, tx, "use link", account.ErrLinkUnknown,
		lockUser+"id = $3 AND EXISTS (SELECT 1 FROM links WHERE links.digest = $1 AND "+condition+")",
		digest, seconds(now), userID)
	if err != nil {
		return err
	}
	return changedOne(ctx, tx, "use link", account.ErrLinkUnknown, "DELETE FROM links WHERE digest = $1", digest)
}

// EmailLink returns the link with this digest that verifies or changes an email address, or account.ErrLinkUnknown.
// It changes nothing.
func (s *Store) EmailLink(ctx context.Context, digest string, now time.Time) (account.Link, error) {
	return one(ctx, s.read, func(r row) (account.Link, error) {
		var columns userRow
		l := account.Link{Digest: digest}
		err := r.Scan(append(columns.columns(), &l.Kind, &l.NewEmail)...)
		if errors.Is(err, sql.ErrNoRows) {
			return account.Link{}, account.ErrLinkUnknown
		}
		l.User = columns.user()
		return l, unavailable("read link", err)
	}, "SELECT "+userColumns+", "+
		"(SELECT kind FROM links WHERE digest = $1), (SELECT new_email FROM links WHERE digest = $1) "+
		"FROM users WHERE EXISTS (SELECT 1 FROM links WHERE links.digest = $1 AND "+emailLinkWorks+")",
		digest, seconds(now))
}

// UseEmailLink verifies or changes the email address of a link's user, and returns the link as it was. The link works
// once. It returns account.ErrLinkUnknown, or account.ErrEmailTaken if the address is another user's verified one. The
// previous address, if it was verified, gets a mail about a change, and the audit log forgets it.
func (s *Store) UseEmailLink(ctx context.Context, digest string, now time.Time) (account.Link, error) {
	l, err := s.EmailLink(ctx, digest, now)
	if err != nil {
		return account.Link{}, err
	}
	err = s.inTx(ctx, "use link", func(ctx context.Context, tx transaction) error {
		if err := s.lockAddress(ctx, tx, l.Email(), l.User.ID, now); err != nil {
			return err
		}
		if err := useLink(ctx, tx, emailLinkWorks, digest, l.User.ID, now); err != nil {
			return err
		}
		_, err := changed(ctx, tx, "set email",
			"UPDATE users SET email = $2, email_verified = 1, updated_at = $3 WHERE id = $1",
			l.User.ID, l.Email(), seconds(now))
		if err == nil {
			err = auditUser(ctx, tx, "email_confirmed", l.User.ID, now, "kind", string(l.Kind))
		}
		if err == nil {
			err = forgetOldAddress(ctx, tx, l.User, l.Email())
		}
		if err != nil || l.Kind != account.ChangeLink || !l.User.EmailVerified {
			return err
		}
		return s.addMail(ctx, tx, mail.Request{
			Kind: mail.EmailChanged, UserID: l.User.ID, Typed: l.User.Email, CreatedAt: now,
		})
	})
	return l, err
}

// lockLifetime is how long rows of locks are kept: longer than a transaction.
const lockLifetime = time.Hour

// lock waits for other transactions that have locked the same name.
func (s *Store) lock(ctx context.Context, tx transaction, name string, now time.Time) error {
	_, err := changed(ctx, tx, "lock", "INSERT INTO locks (digest, locked_at) VALUES ($1, $2) "+
		"ON CONFLICT (digest) DO UPDATE SET locked_at = $2", secret.Digest(name), seconds(now))
	if err != nil {
		return err
	}
	return s.sweepSome(ctx, tx, expiringLocks, now)
}

// lockEmail waits for other transactions that give the email address to a user, or are about its invitation.
func (s *Store) lockEmail(ctx context.Context, tx transaction, email string, now time.Time) error {
	return s.lock(ctx, tx, "address "+account.FoldEmail(email), now)
}

// lockAddress waits for other transactions that give the email address to a user. It returns account.ErrEmailTaken if
// it is the verified address of a user other than that with the id.
func (s *Store) lockAddress(ctx context.Context, tx transaction, email, userID string, now time.Time) error {
	if err := s.lockEmail(ctx, tx, email, now); err != nil {
		return err
	}
	var taken bool
	err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM users WHERE lower(email) = $1 AND email_verified = 1 "+
		"AND id <> $2)", account.FoldEmail(email), userID).Scan(&taken)
	if err == nil && taken {
		return account.ErrEmailTaken
	}
	return unavailable("look for address", err)
}

// UsersToReset returns the users who may choose a new password by a mail to the address: those who are active and
// have it as their verified address. The address is as account.FoldEmail returns it; there are at most limit users.
func (s *Store) UsersToReset(ctx context.Context, address string, limit int) ([]account.User, error) {
	return list(ctx, s.read, "find users by email", scanUser,
		"SELECT "+userColumns+" FROM users WHERE lower(email) = $1 AND email_verified = 1 AND disabled_at IS NULL "+
			"ORDER BY username LIMIT $2", address, limit)
}

// UsersByEmail returns the users who have the address as their verified address, also those who are disabled. The
// address is as account.FoldEmail returns it; there are at most limit users.
func (s *Store) UsersByEmail(ctx context.Context, address string, limit int) ([]account.User, error) {
	return list(ctx, s.read, "find users by email", scanUser,
		"SELECT "+userColumns+" FROM users WHERE lower(email) = $1 AND email_verified = 1 ORDER BY username LIMIT $2",
		address, limit)
}
