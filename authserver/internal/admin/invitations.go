package admin

import (
	"cmp"
	"context"
	"crypto/rand"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// NewInvitation is an invitation that is about to be made.
type NewInvitation struct {
	// Email is the email address of the person.
	Email string
	// Name is the display name that the page suggests; empty for none.
	Name string
	// Groups are the groups that the user will be in.
	Groups []string
}

// Prepare returns the invitation as it would be stored, or why it is not valid.
func (n NewInvitation) Prepare(now time.Time) (account.Invitation, error) {
	email, err := account.PrepareOwnEmail(n.Email)
	if err != nil {
		return account.Invitation{}, err
	}
	user, err := account.User{Name: cmp.Or(n.Name, "nobody yet"), Email: email, Groups: n.Groups}.PrepareIdentity()
	if err != nil {
		return account.Invitation{}, err
	}
	return account.Invitation{
		Email: email, Name: n.Name, Groups: user.Groups, CreatedAt: now, ExpiresAt: now.Add(account.InvitationLifetime),
	}, nil
}

// Invite invites somebody to make an account, by a mail with a link. A second invitation of an address replaces the
// first. It returns ErrNoMail.
func (s *Service) Invite(ctx context.Context, n NewInvitation) (account.Invitation, error) {
	i, err := n.Prepare(s.Now())
	if err != nil {
		return account.Invitation{}, err
	}
	if !s.Mails {
		return account.Invitation{}, errNoMailServer
	}
	if !s.Invites {
		return account.Invitation{}, errNoSignUp
	}
	return i, s.Store.Invite(ctx, i, &mail.Request{Kind: mail.Invitation, Typed: i.Email, CreatedAt: i.CreatedAt})
}

// InviteByLink is Invite without a mail. It returns the secret of the link, for mail.LinkURL with mail.SignUpPath.
func (s *Service) InviteByLink(ctx context.Context, n NewInvitation) (link string, err error) {
	i, err := n.Prepare(s.Now())
	if err != nil {
		return "", err
	}
	if link, err = secret.New(rand.Reader, ""); err != nil {
		return "", err
	}
	return link, s.Store.Together(ctx, "", i.CreatedAt, func(ctx context.Context) error {
		if err := s.Store.Invite(ctx, i, nil); err != nil {
			return err
		}
		return s.Store.CreateSignUpLink(ctx, account.SignUpLink{
			Digest: secret.Digest(link), Email: i.Email, CreatedAt: i.CreatedAt, ExpiresAt: i.ExpiresAt,
		})
	})
}

// Withdraw deletes the invitation of an email address. It returns record.ErrNotFound.
func (s *Service) Withdraw(ctx context.Context, email string) error {
	email, err := account.PrepareOwnEmail(email)
	if err != nil {
		return err
	}
	return s.Store.Withdraw(ctx, email, s.Now())
}

// Invitations returns a page of the invitations that nobody has used yet, sorted by email address.
func (s *Service) Invitations(ctx context.Context, page record.Page) ([]account.Invitation, error) {
	return s.Store.Invitations(ctx, s.Now(), page)
}
