// Package admin is the administration of users, clients, APIs and keys. Commands, the admin API, the console and
// configuration files are its four doors: each only reads its input, calls this package, and shows the result. Who
// acts comes with the context, see audit.WithActor.
//
// Besides its own errors, methods return those of what they change: record.ErrNotFound and record.ErrExists,
// account.ErrBadName, account.ErrBadIdentity and account.ErrWeakPassword for input that is not valid, and
// store.ErrUnavailable.
package admin

import (
	"context"
	"errors"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// Errors of Service.
var (
	// ErrChanged is returned if a record is no longer as the caller has seen it.
	ErrChanged = errors.New("it has changed meanwhile")
	// ErrLastAdministrator is returned for a change by which nobody would administer the server any longer.
	ErrLastAdministrator = account.ErrLastAdministrator
	// ErrNoMail is returned for a mail at a server that sends none, or to a user who cannot get any.
	ErrNoMail = errors.New("no mail can be sent")
)

// Service changes and reads what administrators manage. It is safe for concurrent use.
type Service struct {
	// Store is the database. It is required.
	Store *store.Store
	// Now is the clock. It is required.
	Now func() time.Time
	// Hash checks a new password of a user and returns its hash, or account.ErrWeakPassword. It may be nil at doors
	// where no password is set.
	Hash func(ctx context.Context, user account.User, password string) (string, error)
	// Mails says that the servers of the database send mails, or may do so.
	Mails bool
	// Keys are the files with the signing keys. Without them no operation on keys works; commands need none, because
	// their arguments name the files.
	Keys KeyFiles
	// AllowLockout lets the last administrator be removed. Only commands set it, as they can make another one.
	AllowLockout bool
}

// conditions returns what must hold for a change by which a user may administer the server no longer, and more.
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
