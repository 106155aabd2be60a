package admin

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// RotateSecret says how a client's secret is replaced. The zero value ends the old secret at once and keeps all logins.
type RotateSecret struct {
	// KeepOld is how long the old secret works beside the new one: zero, or from MinKeepOld to MaxKeepOld.
	KeepOld time.Duration
	// Revoke ends all logins and tokens of the client. KeepOld must be zero.
	Revoke bool
}

// Validate returns ErrBadKeepOld unless KeepOld is within its bounds.
func (r RotateSecret) Validate() error {
	if r.KeepOld != 0 && (r.Revoke || r.KeepOld < MinKeepOld || r.KeepOld > MaxKeepOld) {
		return ErrBadKeepOld
	}
	return nil
}

// Rotated is the result of replacing a secret.
type Rotated struct {
	// Client is the client with its new secret.
	Client client.Client
	// Secret is the new secret, which is not stored.
	Secret string
	// OldUntil is when the old secret ends; zero if it has ended.
	OldUntil time.Time
	// Ended are the logins that were ended.
	Ended store.Logins
}

// RotateClientSecret replaces the secret of a confidential client, or gives one to a client that has none, if the
// precondition match holds. It returns record.ErrNotFound, ErrBadKeepOld, ErrChanged, or client.ErrBad for a public
// client and for one without an old secret to keep.
func (s *Service) RotateClientSecret(
	ctx context.Context,
	id string,
	how RotateSecret,
	match func(client.Client) bool,
) (r Rotated, err error) {
	if err := how.Validate(); err != nil {
		return r, err
	}
	now, digest := s.Now(), ""
	if r.Secret, digest, err = client.GenerateSecret(rand.Reader); err != nil {
		return Rotated{}, err
	}
	if how.Revoke {
		if r.Ended, err = s.Store.CountLogins(ctx, store.LoginsOf{ClientID: id}, now); err != nil {
			return Rotated{}, err
		}
	}
	if how.KeepOld != 0 {
		r.OldUntil = now.Add(how.KeepOld)
	}
	err = s.Store.Together(ctx, "", now, func(ctx context.Context) error {
		current, err := s.Store.LockClient(ctx, id)
		if err == nil {
			err = check(match, current)
		}
		if err != nil {
			return err
		}
		if err := s.setSecret(ctx, current, digest, how, now); err != nil {
			return err
		}
		r.Client, err = s.Store.LockClient(ctx, id)
		return err
	})
	if err != nil {
		return Rotated{}, err
	}
	return r, nil
}

// setSecret replaces the secret of a client that is locked.
func (s *Service) setSecret(
	ctx context.Context,
	c client.Client,
	digest string,
	how RotateSecret,
	now time.Time,
) error {
	switch {
	case c.Public():
		return fmt.Errorf("%w: %s is public and has no secret", client.ErrBad, c.ID)
	case how.KeepOld != 0 && !c.HasSecret():
		return fmt.Errorf("%w: %s has no secret that could be kept", client.ErrBad, c.ID)
	case how.Revoke:
		return s.Store.ReplaceClientSecret(ctx, c.ID, digest, now)
	case how.KeepOld != 0:
		return s.Store.AddClientSecret(ctx, c.ID, digest, now, now.Add(how.KeepOld))
	}
	return s.Store.SetClientSecret(ctx, c.ID, digest, now)
}

// EndOldClientSecret ends the secret before the current one. It returns record.ErrNotFound if there is no such client.
func (s *Service) EndOldClientSecret(ctx context.Context, id string) error {
	return s.Store.EndOldClientSecret(ctx, id, s.Now())
}
