// Package admin is the administration of users, clients, APIs and keys. Commands, the admin API, the console and
// configuration files are its four doors: each only reads its input, calls this package, and shows the result. Who
// acts comes with the context, see audit.WithActor.
package admin

import (
	"errors"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// ErrChanged means that a precondition does not hold: somebody else has changed or deleted the record since it was
// read.
var ErrChanged = errors.New("it was changed meanwhile")

// Service changes and reads what administrators manage. It is safe for concurrent use.
type Service struct {
	// Store is the database. It is required.
	Store *store.Store
	// Now is the clock. It is required.
	Now func() time.Time
	// Keys are the files with the signing keys. Without them no operation on keys works; commands need none, because
	// their arguments name the files.
	Keys KeyFiles
}

// check returns ErrChanged unless the precondition holds for what is stored now. A nil one always holds.
func check[T any](match func(current T) bool, current T) error {
	if match != nil && !match(current) {
		return ErrChanged
	}
	return nil
}
