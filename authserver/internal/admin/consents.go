package admin

import (
	"context"
	"errors"
	"fmt"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// Consents returns what a user has allowed clients, sorted by client and API. It returns record.ErrNotFound if there
// is no such user.
func (s *Service) Consents(ctx context.Context, username string) ([]store.Consent, error) {
	u, err := s.Store.UserByUsername(ctx, username)
	if err != nil {
		return nil, err
	}
	return s.Store.Consents(ctx, u.ID)
}

// RevokeConsent deletes a user's consents to a client and revokes the client's access. It returns how many logins of
// the user at the client there were right before. The error is record.ErrNotFound if there is no such user, or neither
// a consent nor a login.
func (s *Service) RevokeConsent(ctx context.Context, username, clientID string) (ended store.Logins, err error) {
	now := s.Now()
	of := store.LoginsOf{Username: username, ClientID: clientID}
	if ended, err = s.Store.CountLogins(ctx, of, now); err != nil {
		return ended, err
	}
	u, err := s.Store.UserByUsername(ctx, username)
	if err != nil {
		return ended, err
	}
	err = s.Store.RevokeConsent(ctx, u.ID, clientID, now)
	if errors.Is(err, record.ErrNotFound) {
		err = fmt.Errorf("%s: %w", clientID, err)
	}
	return ended, err
}
