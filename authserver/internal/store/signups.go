package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// CreateSignUpLink stores a link for making an account, and deletes a few expired ones.
func (s *Store) CreateSignUpLink(ctx context.Context, l account.SignUpLink) error {
	return s.inTx(ctx, "create sign-up", func(ctx context.Context, tx transaction) error {
		_, err := changed(ctx, tx, "create sign-up",
			"INSERT INTO sign_ups (digest, email, address, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
			l.Digest, l.Email, account.FoldEmail(l.Email), seconds(l.CreatedAt), seconds(l.ExpiresAt))
		if err != nil {
			return err
		}
		return s.sweepSome(ctx, tx, expiringSignUps, l.CreatedAt)
	})
}

// SignUpLink returns the link for making an account with this digest, or account.ErrLinkUnknown. It changes nothing.
func (s *Store) SignUpLink(ctx context.Context, digest string, now time.Time) (account.SignUpLink, error) {
	return one(ctx, s.read, func(r row) (account.SignUpLink, error) {
		l := account.SignUpLink{Digest: digest}
		var created, expires sql.NullInt64
		err := r.Scan(&l.Email, &created, &expires)
		if errors.Is(err, sql.ErrNoRows) {
			return account.SignUpLink{}, account.ErrLinkUnknown
		}
		l.CreatedAt, l.ExpiresAt = timeOf(created), timeOf(expires)
		return l, unavailable("read sign-up", err)
	}, "SELECT email, created_at, expires_at FROM sign_ups WHERE digest = $1 AND expires_at > $2 "+
		"AND created_at <= $2 + "+clockMargin, digest, seconds(now))
}

// SignUp adds the user of a link, whose email address must be that of the link, and voids all links and the
// invitation for the address, from which the user gets the groups. invited says that the link works only together with
// the invitation. It returns
// account.ErrLinkUnknown, account.ErrEmailTaken, or record.ErrExists as CreateUser does; the link works on after the
// last.
func (s *Store) SignUp(ctx context.Context, digest string, u account.User, invited bool, now time.Time) error {
	if err := s.fillSkeletons(ctx); err != nil {
		return err
	}
	address := account.FoldEmail(u.Email)
	return s.inTx(ctx, "sign up", func(ctx context.Context, tx transaction) error {
		if err := s.lockAddress(ctx, tx, u.Email, u.ID, now); err != nil {
			return err
		}
		n, err := changed(ctx, tx, "use sign-up",
			"DELETE FROM sign_ups WHERE digest = $1 AND address = $2 AND expires_at > $3 AND created_at <= $3 + "+clockMargin,
			digest, address, seconds(now))
		if err != nil {
			return err
		}
		u := u // steps may run twice
		hasInvitation := true
		var groups string
		err = tx.QueryRowContext(ctx, "DELETE FROM invitations WHERE address = $1 AND expires_at > $2 RETURNING group_names",
			address, seconds(now)).Scan(&groups)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			hasInvitation = false
		case err != nil:
			return unavailable("use invitation", err)
		default:
			u.Groups = words(groups)
		}
		if n == 0 || (invited && !hasInvitation) {
			return account.ErrLinkUnknown
		}
		if _, err := changed(ctx, tx, "use sign-up", "DELETE FROM sign_ups WHERE address = $1", address); err != nil {
			return err
		}
		if err := createUser(ctx, tx, u); err != nil {
			return err
		}
		return auditSignUp(ctx, tx, u, hasInvitation, now)
	})
}

// auditSignUp adds a sign-up to the audit log. If it has used an invitation, it says which.
func auditSignUp(ctx context.Context, tx transaction, u account.User, hasInvitation bool, now time.Time) error {
	invitation := ""
	if hasInvitation {
		var err error
		if invitation, err = pseudonymOf(ctx, tx, u.Email, now); err != nil {
			return err
		}
	}
	return auditUser(ctx, tx, "signed_up", u.ID, now, "invitation", invitation, rights, rightsChange(nil, u.Groups))
}

// Invite stores an invitation in place of an earlier one for the address, and deletes a few expired ones. If m is not
// nil, it asks for this mail too. It returns account.ErrEmailTaken if a user has the address as verified address.
func (s *Store) Invite(ctx context.Context, i account.Invitation, m *mail.Request) error {
	address := account.FoldEmail(i.Email)
	return s.inTx(ctx, "invite", func(ctx context.Context, tx transaction) error {
		if err := s.lockAddress(ctx, tx, i.Email, "", i.CreatedAt); err != nil {
			return err
		}
		_, err := changed(ctx, tx, "invite", "INSERT INTO invitations "+
			"(address, email, name, group_names, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6) "+
			"ON CONFLICT (address) DO UPDATE SET email = $2, name = $3, group_names = $4, created_at = $5, expires_at = $6",
			address, i.Email, i.Name, strings.Join(i.Groups, " "), seconds(i.CreatedAt), seconds(i.ExpiresAt))
		if err != nil {
			return err
		}
		if err := s.sweepSome(ctx, tx, expiringInvitations, i.CreatedAt); err != nil {
			return err
		}
		if m != nil {
			if err := s.addMail(ctx, tx, *m); err != nil {
				return err
			}
		}
		return auditAdmin(ctx, tx, "invitation_made", i.Email, i.CreatedAt)
	})
}

// Withdraw deletes the invitation for an email address, and the links for it. It returns record.ErrNotFound if there
// is no invitation.
func (s *Store) Withdraw(ctx context.Context, email string, now time.Time) error {
	address := account.FoldEmail(email)
	return s.inTx(ctx, "withdraw invitation", func(ctx context.Context, tx transaction) error {
		if err := s.lockEmail(ctx, tx, email, now); err != nil { // as SignUp and Invite do
			return err
		}
		err := changedOne(ctx, tx, "withdraw invitation", errNoInvitation,
			"DELETE FROM invitations WHERE address = $1", address)
		if err != nil {
			return err
		}
		if _, err := changed(ctx, tx, "withdraw invitation", "DELETE FROM sign_ups WHERE address = $1", address); err != nil {
			return err
		}
		return auditAdmin(ctx, tx, "invitation_withdrawn", email, now)
	})
}

// Invitation returns the invitation for an email address, or record.ErrNotFound.
func (s *Store) Invitation(ctx context.Context, email string, now time.Time) (account.Invitation, error) {
	return one(ctx, s.read, scanInvitation, "SELECT "+invitationColumns+
		" FROM invitations WHERE address = $1 AND expires_at > $2 AND created_at <= $2 + "+clockMargin,
		account.FoldEmail(email), seconds(now))
}

// Invitations returns a page of the invitations that nobody has used yet, sorted by the address as account.FoldEmail
// returns it.
func (s *Store) Invitations(ctx context.Context, now time.Time, page record.Page) ([]account.Invitation, error) {
	page.After, page.Prefix = account.FoldEmail(page.After), account.FoldEmail(page.Prefix)
	where, args := pageSQL(page, "address", seconds(now))
	return list(ctx, s.read, "list invitations", scanInvitation,
		"SELECT "+invitationColumns+" FROM invitations WHERE expires_at > $1 AND "+where, args...)
}

const invitationColumns = "email, name, group_names, created_at, expires_at"

func scanInvitation(r row) (account.Invitation, error) {
	var i account.Invitation
	var groups string
	var created, expires sql.NullInt64
	err := r.Scan(&i.Email, &i.Name, &groups, &created, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return account.Invitation{}, errNoInvitation
	}
	i.Groups, i.CreatedAt, i.ExpiresAt = words(groups), timeOf(created), timeOf(expires)
	return i, unavailable("read invitation", err)
}
