package admin

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/emailcheck"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// ErrNotInGroup is returned for the removal of a user from a group that the user is not in.
var ErrNotInGroup = errors.New("the user is not in the group")

// Users returns a page of the users, sorted by username.
func (s *Service) Users(ctx context.Context, page record.Page) ([]account.User, error) {
	return s.Store.Users(ctx, page)
}

// SearchUsers returns a page of the users whose username, email address or name begins with a text, and the cursor of
// the next page: see store.SearchUsers.
func (s *Service) SearchUsers(
	ctx context.Context,
	prefix, after string,
	limit int,
) (users []account.User, next string, err error) {
	return s.Store.SearchUsers(ctx, prefix, after, limit)
}

// User returns the user with a username, however it is spelled, or record.ErrNotFound.
func (s *Service) User(ctx context.Context, username string) (account.User, error) {
	return account.Find(ctx, username, s.Store.UserByUsername)
}

// NewUser is a user who is about to be added.
type NewUser struct {
	// Username is required. Name is the display name, by default the username.
	Username, Name string
	// Email is the email address; empty for none. EmailVerified says that somebody has checked that it is the user's.
	Email         string
	EmailVerified bool
	// Groups are the groups that the user is in.
	Groups []string
	// Password is the first password. Without one, the user gets a mail with a link to choose one, which needs a verified
	// address.
	Password *string
}

// Prepare returns the user as it would be stored, without a password, or why it is not valid.
func (n NewUser) Prepare(now time.Time) (account.User, error) {
	user, err := account.New(n.Username, cmp.Or(n.Name, strings.TrimSpace(n.Username)), "", now)
	if err != nil {
		return account.User{}, err
	}
	user.Email, user.EmailVerified, user.Groups = n.Email, n.EmailVerified, n.Groups
	return user.PrepareIdentity()
}

// CreateUser adds a user and returns it. It returns record.ErrExists if there is one with the username, or with one
// that looks the same.
func (s *Service) CreateUser(ctx context.Context, n NewUser) (account.User, error) {
	user, err := n.Prepare(s.Now())
	if err != nil {
		return account.User{}, err
	}
	if n.Password == nil {
		return s.createByMail(ctx, user)
	}
	if user.PasswordHash, err = s.Hash(ctx, user, *n.Password); err != nil {
		return account.User{}, err
	}
	return user, s.Store.CreateUser(ctx, user)
}

// createByMail adds a user who chooses the password by a link in a mail. Until then it is a random one.
func (s *Service) createByMail(ctx context.Context, user account.User) (account.User, error) {
	if !s.Mails || !user.EmailVerified {
		return account.User{}, fmt.Errorf("%w: a user without a password needs a verified email address, and a server "+
			"that sends emails", ErrNoMail)
	}
	random, err := secret.New(rand.Reader, "")
	if err != nil {
		return account.User{}, err
	}
	if user.PasswordHash, err = s.Hash(ctx, user, random); err != nil {
		return account.User{}, err
	}
	return user, s.Store.Together(ctx, "", user.CreatedAt, func(ctx context.Context) error {
		if err := s.Store.CreateUser(ctx, user); err != nil {
			return err
		}
		return s.mailPasswordLink(ctx, user)
	})
}

// UserPatch is a change of a user. Fields that are nil stay as they are.
type UserPatch struct {
	// Name is the display name.
	Name *string
	// Email is the email address, which is not verified unless EmailVerified says so; empty for none.
	Email         *string
	EmailVerified *bool
	// Groups replaces all groups.
	Groups *[]string
	// AddGroups and RemoveGroups change the groups one by one.
	AddGroups, RemoveGroups []string
	// VerifyEmail asks for a mail with a link by which the user verifies the address.
	VerifyEmail bool
}

// changes reports whether the patch changes a field.
func (p UserPatch) changes() bool {
	return p.Name != nil || p.Email != nil || p.EmailVerified != nil || p.Groups != nil ||
		p.AddGroups != nil || p.RemoveGroups != nil
}

// apply returns the changed user, or why it is not valid.
func (p UserPatch) apply(u account.User) (account.User, error) {
	if p.Name != nil {
		u.Name = *p.Name
	}
	if p.Email != nil && *p.Email != u.Email {
		u.Email, u.EmailVerified = *p.Email, false
	} else if p.Email != nil {
		u.EmailVerified = false
	}
	if p.EmailVerified != nil {
		u.EmailVerified = *p.EmailVerified
	}
	if p.Groups != nil {
		u.Groups = *p.Groups
	}
	for _, name := range p.RemoveGroups {
		if !slices.Contains(u.Groups, name) {
			return account.User{}, fmt.Errorf("%w %s: the groups are %s", ErrNotInGroup, name,
				cmp.Or(strings.Join(u.Groups, " "), "none"))
		}
	}
	u.Groups = slices.DeleteFunc(append(slices.Clone(u.Groups), p.AddGroups...), func(name string) bool {
		return slices.Contains(p.RemoveGroups, name)
	})
	return u.PrepareIdentity()
}

// ChangeUser changes a user, and returns the changed one. match is called with the user as it is stored, also if that
// changes meanwhile: if it returns false, the error is ErrChanged; nil accepts any. The other errors are ErrNotInGroup,
// ErrLastAdministrator, ErrNoMail, and emailcheck.ErrNothingToVerify.
func (s *Service) ChangeUser(
	ctx context.Context,
	username string,
	p UserPatch,
	match func(account.User) bool,
) (account.User, error) {
	if p.VerifyEmail && !s.Mails {
		return account.User{}, errNoMailServer
	}
	var m mail.Request
	change := func(u account.User) (account.User, error) {
		if err := check(match, u); err != nil {
			return account.User{}, err
		}
		u, err := p.apply(u)
		if err == nil && p.VerifyEmail {
			m, err = emailcheck.VerifyRequest(u, s.Now())
		}
		return u, err
	}
	u, err := s.User(ctx, username)
	if err != nil {
		return account.User{}, err
	}
	if !p.VerifyEmail {
		return s.updateUser(ctx, u, p, change)
	}
	var updated account.User
	err = s.Store.Together(ctx, "", s.Now(), func(ctx context.Context) (err error) {
		if updated, err = s.updateUser(ctx, u, p, change); err != nil {
			return err
		}
		return s.mail(ctx, updated, m, "user_email_link_requested")
	})
	return updated, err
}

// updateUser makes the change of a patch and returns the user. If the patch changes no field, it only checks the user.
func (s *Service) updateUser(
	ctx context.Context,
	u account.User,
	p UserPatch,
	change func(account.User) (account.User, error),
) (account.User, error) {
	if !p.changes() {
		_, err := change(u)
		return u, err
	}
	return s.Store.UpdateUser(ctx, u.Username, s.Now(), change, s.conditions()...)
}

// DisableUser prevents a user from logging in, and ends all logins of the user. The errors are those of ChangeUser.
func (s *Service) DisableUser(ctx context.Context, username string, match func(account.User) bool) error {
	return s.with(ctx, username, match, func(u account.User) error {
		return s.Store.DisableUser(ctx, u.Username, s.Now(), s.conditions(matches(match)...)...)
	})
}

// EnableUser lets a disabled user log in again. The errors are those of ChangeUser.
func (s *Service) EnableUser(ctx context.Context, username string, match func(account.User) bool) error {
	return s.with(ctx, username, match, func(u account.User) error {
		return s.Store.EnableUser(ctx, u.Username, s.Now(), matches(match)...)
	})
}

// DeleteUser deletes a user, and ends all logins of the user. The errors are those of ChangeUser.
func (s *Service) DeleteUser(ctx context.Context, username string, match func(account.User) bool) error {
	return s.with(ctx, username, match, func(u account.User) error {
		return s.Store.DeleteUserIf(ctx, u.Username, s.Now(), s.conditions(matches(match)...)...)
	})
}

// SetPassword sets the password of a user, and ends all logins of the user.
func (s *Service) SetPassword(ctx context.Context, username, password string) error {
	return s.with(ctx, username, nil, func(u account.User) error {
		hash, err := s.Hash(ctx, u, password)
		if err != nil {
			return err
		}
		return s.Store.SetPassword(ctx, u.Username, hash, s.Now())
	})
}

// MailPasswordLink asks for a mail with a link by which the user chooses a new password. The present one works until
// then. It returns ErrNoMail.
func (s *Service) MailPasswordLink(ctx context.Context, username string) error {
	return s.with(ctx, username, nil, func(u account.User) error { return s.mailPasswordLink(ctx, u) })
}

func (s *Service) mailPasswordLink(ctx context.Context, u account.User) error {
	switch {
	case !s.Mails:
		return errNoMailServer
	case !u.EmailVerified:
		return fmt.Errorf("%w: the user has no verified email address", ErrNoMail)
	case !u.Active():
		return fmt.Errorf("%w: the user is disabled", ErrNoMail)
	}
	m := mail.Request{Kind: mail.ResetPassword, Typed: u.Username, CreatedAt: s.Now()}
	return s.mail(ctx, u, m, "user_password_link_requested")
}

// mail asks for a mail to a user, and records that as an event.
func (s *Service) mail(ctx context.Context, u account.User, m mail.Request, event string) error {
	return s.Store.Together(ctx, "", m.CreatedAt, func(ctx context.Context) error {
		if err := s.Store.AddMails(ctx, m); err != nil {
			return err
		}
		return s.Store.Record(ctx, audit.Event{
			Name: event, At: m.CreatedAt, Subject: audit.Subject{Kind: audit.SubjectUser, ID: u.ID},
		})
	})
}

// Unlock forgets the failed logins of a user, who can try again at once.
func (s *Service) Unlock(ctx context.Context, username string) error {
	return s.with(ctx, username, nil, func(u account.User) error { return s.Store.Unlock(ctx, u.Username, s.Now()) })
}

// Failures returns how often logins of a user have failed lately.
func (s *Service) Failures(ctx context.Context, username string) (all []store.UserFailures, err error) {
	err = s.with(ctx, username, nil, func(u account.User) error {
		all, err = s.Store.FailuresOf(ctx, u.ID, s.Now())
		return err
	})
	return all, err
}

// Groups returns the groups that users are in, sorted by name.
func (s *Service) Groups(ctx context.Context) ([]store.Group, error) { return s.Store.Groups(ctx) }

// matches returns the condition that a user matches in the transaction of a change, as in ChangeUser; none for nil.
func matches(match func(account.User) bool) []store.Condition {
	if match == nil {
		return nil
	}
	return []store.Condition{store.Unless(func(u account.User) error { return check(match, u) })}
}

// with calls work with a user, who must match as in ChangeUser.
func (s *Service) with(
	ctx context.Context,
	username string,
	match func(account.User) bool,
	work func(account.User) error,
) error {
	u, err := s.User(ctx, username)
	if err != nil {
		return err
	}
	if err := check(match, u); err != nil {
		return err
	}
	return work(u)
}
