package account

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
)

// ErrDemo is returned when a user of the demo wants to delete the account: everybody knows the password.
var ErrDemo = errors.New("the demo needs this account")

// ErrChanged is returned if the user was disabled or deleted, or got another password, while the password was being
// checked.
var ErrChanged = errors.New("the account has changed")

// ErrLastAdministrator is returned for a change that would leave the server without an administrator.
var ErrLastAdministrator = errors.New("it is the last administrator")

// ServiceStore is the storage that Service needs. Its methods are safe for concurrent use.
type ServiceStore interface {
	// ChangeName sets the user's display name, or returns record.ErrNotFound.
	ChangeName(ctx context.Context, userID, name string, now time.Time) error
	// ChangePassword sets the user's password hash, ends all logins but one session, and renews that, or returns
	// an error that wraps ErrChanged.
	ChangePassword(ctx context.Context, user User, hash string, r Renewal, now time.Time) error
	// DeleteAccount deletes the user, or returns an error that wraps ErrChanged or ErrLastAdministrator.
	DeleteAccount(ctx context.Context, user User, now time.Time) error
}

// Service changes the accounts of users who are logged in. It is safe for concurrent use. All fields are required.
type Service struct {
	Store ServiceStore
	// Login checks passwords and hashes new ones, behind the same throttle and gate as logins.
	Login *Login
	Now   func() time.Time
	Log   *slog.Logger
}

// Proof shows that a user is still the one who has logged in.
type Proof struct {
	// User is the user of the session.
	User User
	// Password is what was typed as the current password.
	Password string
	// Address is the IP address that the request comes from, without the port.
	Address string
	// Browser is the browser that the request comes from.
	Browser Browser
}

// ChangeName sets the display name of a user. It returns ErrBadName, record.ErrNotFound if the user is disabled or
// deleted, or an error of ctx or the store.
func (s *Service) ChangeName(ctx context.Context, user User, name, address string) error {
	if err := checkName("name", name); err != nil {
		return err
	}
	if err := s.Store.ChangeName(ctx, user.ID, name, s.Now()); err != nil {
		return err
	}
	s.log(ctx, "account_name_changed", user, address)
	return nil
}

// Renewal gives a session a new cookie, in the same step that ends all other logins of the user: somebody else may have
// copied the present cookie.
type Renewal struct {
	// From and To are the digests of the present cookie and of the new one.
	From, To string
}

// ChangePassword sets a new password, and ends all logins of the user but one session, which it renews. It returns the
// user with the new password version. The errors are ErrWeakPassword, and those of Login.Check and of the store.
func (s *Service) ChangePassword(ctx context.Context, p Proof, password string, r Renewal) (User, error) {
	if PreparePassword(password) == PreparePassword(p.Password) {
		return User{}, refuse(ErrWeakPassword, catalog.Say("It is the same as the current one."))
	}
	if err := s.Login.CheckPassword(p.User, password); err != nil {
		return User{}, err
	}
	user, err := s.check(ctx, p)
	if err != nil {
		return User{}, err
	}
	hash, err := s.Login.Hash(ctx, password, p.Address)
	if err == nil {
		err = s.Store.ChangePassword(ctx, user, hash, r, s.Now())
	}
	if err != nil {
		return User{}, errors.Join(err, s.Login.GiveBack(ctx, user))
	}
	s.log(ctx, "account_password_changed", user, p.Address)
	user.PasswordVersion++
	return user, nil
}

// Check checks that the user is still the one who has logged in. The errors are those of Login.Check and of the store.
func (s *Service) Check(ctx context.Context, p Proof) error {
	user, err := s.check(ctx, p)
	if err == nil {
		err = s.Login.GiveBack(ctx, user)
	}
	return err
}

// Delete deletes the account of a user. It returns ErrDemo, ErrLastAdministrator, the errors of Login.Check, or an
// error of the store.
func (s *Service) Delete(ctx context.Context, p Proof) error {
	if p.User.Demo {
		return ErrDemo
	}
	user, err := s.check(ctx, p)
	if err != nil {
		return err
	}
	if err := s.Store.DeleteAccount(ctx, user, s.Now()); err != nil {
		return errors.Join(err, s.Login.GiveBack(ctx, user))
	}
	s.log(ctx, "account_deleted", user, p.Address)
	return nil
}

// check returns the user whose password was typed, as Login.Check does.
func (s *Service) check(ctx context.Context, p Proof) (User, error) {
	if p.Password == "" {
		return User{}, ErrIncorrect
	}
	user, err := s.Login.Check(ctx, Attempt{
		Username: p.User.Username, Password: p.Password, Address: p.Address, Browser: p.Browser,
	})
	if err == nil && user.ID != p.User.ID {
		err = errors.Join(ErrChanged, s.Login.GiveBack(ctx, user))
	}
	return user, err
}

func (s *Service) log(ctx context.Context, event string, user User, address string) {
	s.Log.InfoContext(ctx, "account changed by its user", "event", event, "user", user.ID, "address", address)
}
