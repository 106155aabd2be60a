package admin

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// ErrNoEnrolment is returned for a link for a user who does not need one.
var ErrNoEnrolment = errors.New("only an administrator without a second factor gets a link")

// needsEnrolLink reports whether a user administers the server and has no second factor.
func (s *Service) needsEnrolLink(ctx context.Context, u account.User) (bool, error) {
	if !u.Administers() {
		return false, nil
	}
	has, err := s.Store.HasSecondFactor(ctx, u.ID)
	return !has, err
}

// EnrolLink makes the link by which an administrator adds the first second factor, and returns its secret, for
// mail.LinkURL with account.EnrolPath. It works once, for account.LinkLifetime, and replaces the previous one. It
// returns ErrNoEnrolment. Only commands call it: anybody who has such a link and the password becomes that
// administrator.
func (s *Service) EnrolLink(ctx context.Context, username string) (link string, err error) {
	err = s.with(ctx, username, nil, func(u account.User) error {
		needs, err := s.needsEnrolLink(ctx, u)
		if err == nil && !needs {
			err = fmt.Errorf("%w: %s is not in the group %s, is disabled, is a demo user, or already has a second factor, "+
				"which --remove-second-factors removes", ErrNoEnrolment, u.Username, account.AdminGroup)
		}
		if err != nil {
			return err
		}
		if link, err = secret.New(rand.Reader, ""); err != nil {
			return err
		}
		now := s.Now()
		return s.Store.CreateEnrolLink(ctx, account.Link{
			Digest: secret.Digest(link), Kind: account.EnrolLink, User: u,
			CreatedAt: now, ExpiresAt: now.Add(account.LinkLifetime),
		})
	})
	return link, err
}
