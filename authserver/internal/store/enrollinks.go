package store

import (
	"context"
	"errors"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
)

// enrolLinkWorks is the condition under which an account.EnrolLink works, in a join of users and links: its user still
// has the password of then, and no second factor. $2 is the time.
var enrolLinkWorks = "users.id = links.user_id AND users.disabled_at IS NULL " +
	"AND users.password_version = links.password_version AND links.expires_at > $2 " +
	"AND links.created_at <= $2 + " + clockMargin + " AND links.kind = '" + string(account.EnrolLink) + "' " +
	"AND NOT EXISTS (SELECT 1 FROM second_factors WHERE second_factors.user_id = users.id)"

// CreateEnrolLink stores an account.EnrolLink in place of the previous one of its user.
func (s *Store) CreateEnrolLink(ctx context.Context, l account.Link) error {
	return s.inTx(ctx, "create link", func(ctx context.Context, tx transaction) error {
		_, err := changed(ctx, tx, "replace link", "DELETE FROM links WHERE user_id = $1 AND kind = $2",
			l.User.ID, string(account.EnrolLink))
		if err != nil {
			return err
		}
		if err := s.createLink(ctx, tx, l); err != nil {
			return err
		}
		return auditAdmin(ctx, tx, "user_enrol_link_made", l.User.Username, l.CreatedAt)
	})
}

// EnrolLinkUser returns the user of the account.EnrolLink with this digest, or account.ErrLinkUnknown. It changes
// nothing.
func (s *Store) EnrolLinkUser(ctx context.Context, digest string, now time.Time) (account.User, error) {
	u, err := one(ctx, s.read, scanUser, "SELECT "+userColumns+" FROM users WHERE EXISTS "+
		"(SELECT 1 FROM links WHERE links.digest = $1 AND "+enrolLinkWorks+")", digest, seconds(now))
	if errors.Is(err, record.ErrNotFound) {
		err = account.ErrLinkUnknown
	}
	return u, err
}

// useEnrolLink deletes the link by which a factor is added, if there is one. It returns secondfactor.ErrPendingUnknown
// if another login has used it.
func useEnrolLink(ctx context.Context, tx transaction, c secondfactor.Completion) error {
	if c.EnrolLink == "" {
		return nil
	}
	return changedOne(ctx, tx, "use link", secondfactor.ErrPendingUnknown,
		"DELETE FROM links WHERE digest = $1 AND user_id = $2 AND kind = $3",
		c.EnrolLink, c.NewFactor.UserID, string(account.EnrolLink))
}
