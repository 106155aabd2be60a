package admin

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// maxShown bounds the sessions, the grants and the consents of a user that are shown, each. The newest ones are.
const maxShown = 1000

// SessionID identifies a browser session. The digest of the session's cookie cannot be computed from it.
func SessionID(b store.BrowserSession) string {
	sum := sha256.Sum256([]byte("session " + b.Digest))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// Sessions returns the browser sessions of a user, newest first.
func (s *Service) Sessions(ctx context.Context, username string) (all []store.BrowserSession, err error) {
	err = s.with(ctx, username, nil, func(u account.User) error {
		all, err = s.Store.BrowserSessions(ctx, u.ID, s.Now(), maxShown)
		return err
	})
	return all, err
}

// EndSession ends a browser session of a user and the logins at clients that were given in it. It returns
// record.ErrNotFound.
func (s *Service) EndSession(ctx context.Context, username, id string) error {
	sessions, err := s.Sessions(ctx, username)
	if err != nil {
		return err
	}
	for _, b := range sessions {
		if SessionID(b) == id {
			return s.Store.DeleteSession(ctx, b.Digest, true, s.Now())
		}
	}
	return fmt.Errorf("session %w", record.ErrNotFound)
}

// Grants returns the logins of a user at clients that are active, newest first.
func (s *Service) Grants(ctx context.Context, username string) (all []store.AppLogin, err error) {
	err = s.with(ctx, username, nil, func(u account.User) error {
		all, err = s.Store.AppLogins(ctx, u.ID, s.Now(), maxShown)
		return err
	})
	return all, err
}

// EndGrant ends a login of a user at a client. It returns record.ErrNotFound.
func (s *Service) EndGrant(ctx context.Context, username string, number int64) error {
	return s.with(ctx, username, nil, func(u account.User) error {
		return s.Store.EndLogin(ctx, u.ID, number, s.Now())
	})
}

// LogOut ends all logins of a user, in browsers and at clients; with a client, only those at this client.
func (s *Service) LogOut(ctx context.Context, username, clientID string) error {
	return s.with(ctx, username, nil, func(u account.User) error {
		if clientID != "" {
			if _, err := s.Store.ClientByID(ctx, clientID); err != nil {
				return fmt.Errorf("%s: %w", clientID, err)
			}
		}
		return s.Store.LogOut(ctx, u.Username, clientID, s.Now())
	})
}

// Logins counts the logins of a user that would end if the user were disabled or deleted.
func (s *Service) Logins(ctx context.Context, username string) (n store.Logins, err error) {
	err = s.with(ctx, username, nil, func(u account.User) error {
		n, err = s.Store.CountLogins(ctx, store.LoginsOf{Username: u.Username}, s.Now())
		return err
	})
	return n, err
}

// SecondFactors returns the second factors of a user, and how many recovery codes are left.
func (s *Service) SecondFactors(
	ctx context.Context,
	username string,
) (all []secondfactor.Factor, codes int, err error) {
	err = s.with(ctx, username, nil, func(u account.User) error {
		if all, err = s.Store.SecondFactors(ctx, u.ID); err != nil {
			return err
		}
		codes, err = s.Store.CountRecoveryCodes(ctx, u.ID)
		return err
	})
	return all, codes, err
}

// RemoveSecondFactors removes all second factors and recovery codes of a user, who has lost them, and ends all logins
// of the user. It returns how many factors there were.
func (s *Service) RemoveSecondFactors(ctx context.Context, username string) (n int64, err error) {
	err = s.with(ctx, username, nil, func(u account.User) error {
		n, err = s.Store.RemoveSecondFactors(ctx, u.Username, s.Now())
		return err
	})
	return n, err
}
