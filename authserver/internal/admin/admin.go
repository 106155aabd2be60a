// Package admin manages users, clients, APIs and keys. Commands, the admin API and configuration files all use it: each
// reads its input, calls this package, and shows the result. The console calls the operations of the admin API. The
// actor comes with the context: see audit.WithActor.
//
// Besides the errors of this package, methods return record.ErrNotFound, record.ErrExists, store.ErrUnavailable, and
// for invalid input account.ErrBadName, account.ErrBadIdentity and account.ErrWeakPassword.
package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// Errors of Service.
var (
	// ErrChanged is returned if a record has changed since the caller read it.
	ErrChanged = errors.New("it has changed meanwhile")
	// ErrLastAdministrator is returned for a change that would leave the server without an administrator.
	ErrLastAdministrator = account.ErrLastAdministrator
	// ErrNoMail is returned for a mail at a server that sends none, or to a user who cannot get any.
	ErrNoMail = errors.New("no email can be sent")
)

// errNoMailServer is the ErrNoMail of a server that sends no mails.
var errNoMailServer = fmt.Errorf("%w: this server has no mail server", ErrNoMail)

// errNoSignUp is the ErrNoMail of a server whose invited people could not make an account.
var errNoSignUp = fmt.Errorf("%w: this server does not let invited people create accounts: set --signup=invitation or "+
	"open (HALLPASS_SIGNUP)", ErrNoMail)

// Service changes and reads what administrators manage. It is safe for concurrent use.
type Service struct {
	// Store is the database. It is required.
	Store *store.Store
	// Now is the clock. It is required.
	Now func() time.Time
	// Hash checks a new password of a user and returns its hash, or account.ErrWeakPassword. It may be nil if no password
	// is ever set.
	Hash func(ctx context.Context, user account.User, password string) (string, error)
	// Mails says that the servers of the database send mails, or may.
	Mails bool
	// Invites says that the servers of the database let invited people make an account, or may.
	Invites bool
	// Keys are the files with the signing keys. Without them no operation on keys works; commands need none, because
	// their arguments name the files.
	Keys KeyFiles
	// AllowLockout lets the last administrator be removed. Only commands set it, as they can make another one.
	AllowLockout bool
}

// conditions returns the conditions of a change that may take administrator rights away from a user, and more ones.
func (s *Service) conditions(more ...store.Condition) []store.Condition {
	if s.AllowLockout {
		return more
	}
	return append([]store.Condition{store.KeepAdministrator}, more...)
}

// check returns ErrChanged unless the precondition holds for what is stored now. A nil one always holds.
func check[T any](match func(current T) bool, current T) error {
	if match != nil && !match(current) {
		return ErrChanged
	}
	return nil
}
