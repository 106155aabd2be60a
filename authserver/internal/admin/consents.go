package admin

import (
	"context"
	"errors"
	"fmt"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// Consents returns what a user has allowed clients, sorted by client and API. It returns record.ErrNotFound if there
// is no such user.
func (s *Service) Consents(ctx context.Context, username string) (all []store.Consent, err error) {
	err = s.with(ctx, username, nil, func(u account.User) error {
		all, err = s.Store.Consents(ctx, u.ID)
		return err
	})
	return all, err
}

// RevokeConsent deletes a user's consents to a client and revokes the client's access. It returns how many logins of
// the user at the client there were right before. The error is record.ErrNotFound if there is no such user, or neither
// a consent nor a login.
func (s *Service) RevokeConsent(ctx context.Context, username, clientID string) (ended store.Logins, err error) {
	now := s.Now()
	err = s.with(ctx, username, nil, func(u account.User) error {
		of := store.LoginsOf{Username: u.Username, ClientID: clientID}
		if ended, err = s.Store.CountLogins(ctx, of, now); err != nil {
			return err
		}
		err = s.Store.RevokeConsent(ctx, u.ID, clientID, now)
		if errors.Is(err, record.ErrNotFound) {
			err = fmt.Errorf("%s: %w", clientID, err)
		}
		return err
	})
	return ended, err
}
