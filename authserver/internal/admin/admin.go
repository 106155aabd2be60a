// Package admin is the administration of users, clients, APIs and keys. Commands, the admin API, the console and
// configuration files are its four doors: each only reads its input, calls this package, and shows the result. Who
// acts comes with the context, see audit.WithActor.
package admin

import (
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// Service changes and reads what administrators manage. All fields are required. It is safe for concurrent use.
type Service struct {
	// Store is the database.
	Store *store.Store
	// Now is the clock.
	Now func() time.Time
}
