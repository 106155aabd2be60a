package account_test

import (
	"context"
	"errors"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

// factorQueries counts queries for second factors.
type factorQueries struct {
	account.LoginStore
	n int
}

func (s *factorQueries) HasSecondFactor(ctx context.Context, userID string) (bool, error) {
	s.n++
	return s.LoginStore.HasSecondFactor(ctx, userID)
}

// Time must not tell whether there is a user: a login by the password alone looks for second factors of nobody too.
func TestUnknownUserIsAskedForSecondFactors(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.add("john.doe", bcrypt.MinCost)
	queries := &factorQueries{LoginStore: f.store}
	f.Store = queries
	for _, name := range []string{"john.doe", "unknown"} {
		queries.n = 0
		_, err := f.Check(t.Context(), account.Attempt{Username: name, Password: wrong, Address: home, PasswordOnly: true})
		if !errors.Is(err, account.ErrIncorrect) || queries.n != 1 {
			t.Errorf("%s: %d queries, want 1; %v", name, queries.n, err)
		}
	}
}
