package account

import (
	"strings"

	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
)

// Refusal is an error about a password or a name that a person has chosen. It wraps ErrWeakPassword or ErrBadName.
type Refusal struct {
	kind error
	// Why is the reason: a sentence for the person.
	Why *catalog.Message
}

// refuse returns the error of a kind with the reason.
func refuse(kind error, why *catalog.Message) error { return &Refusal{kind: kind, Why: why} }

// Error returns the kind and the reason in English.
func (r *Refusal) Error() string {
	why := strings.TrimSuffix(r.Why.English(), ".")
	return r.kind.Error() + ": " + strings.ToLower(why[:1]) + why[1:]
}

// Unwrap returns the kind.
func (r *Refusal) Unwrap() error { return r.kind }
