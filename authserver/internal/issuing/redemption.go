package issuing

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// How long and how often a redemption is decided. decideFor is a little longer than a code lives.
const (
	decidePause = 100 * time.Millisecond
	decideFor   = 2 * time.Minute
	// decideAtOnce limits how many redemptions are decided at once after their requests have failed.
	decideAtOnce = 256
	// undecidedPause and undecidedTries say how a request waits while another one decides about its code.
	undecidedPause = 20 * time.Millisecond
	undecidedTries = 50
)

// redeemable is a code that is used once: an authorization code or a device code. A client that got 503 can use it
// again, which is safe because no client ever got tokens for it.
type redeemable struct {
	// redeem stores the redemption and returns the number of the grant.
	redeem func(context.Context, grant.Grant) (number int64, err error)
	// confirm makes the attempt final, takeBack undoes it if it was stored. Both may be repeated.
	confirm, takeBack func(ctx context.Context, attempt string) error
}

// startByCode is start for a grant that begins with a code. A code that is used twice ends its grant (RFC 6749 section
// 4.1.2).
func (s *Service) startByCode(
	ctx context.Context,
	r Request,
	api resource.API,
	user account.User,
	g grant.Grant,
	code redeemable,
) (oauth.TokenResponse, error) {
	attempt, err := s.newAttempt()
	if err != nil {
		return oauth.TokenResponse{}, err
	}
	g.Attempt = attempt
	open := false // the redemption may have been stored
	response, err := s.start(ctx, r, api, user, g, func(ctx context.Context, g grant.Grant) (int64, error) {
		number, err := awaitDecision(ctx, func() (int64, error) { return code.redeem(ctx, g) })
		if errors.Is(err, grant.ErrCodeUsed) { // the code was stolen, or the first response was lost
			return number, cmp.Or(s.revokeReused(ctx, r.Client, number, "code_reuse"), err)
		}
		open = err == nil || errors.Is(err, store.ErrUnavailable) && !errors.Is(err, grant.ErrCodeUndecided)
		return number, err
	})
	switch {
	case err == nil:
		s.decide(ctx, func(ctx context.Context) error { return code.confirm(ctx, attempt) })
	case open:
		s.decideLater(ctx, func(ctx context.Context) error { return code.takeBack(ctx, attempt) })
	}
	return response, err
}

// newAttempt returns a name for a redemption.
func (s *Service) newAttempt() (string, error) {
	name := make([]byte, 16)
	if _, err := io.ReadFull(s.cfg.Random, name); err != nil {
		return "", fmt.Errorf("redeeming a code: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(name), nil
}

// awaitDecision redeems a code. While another redemption of it is undecided, it waits for about a second, and then
// returns store.ErrUnavailable.
func awaitDecision(ctx context.Context, redeem func() (int64, error)) (number int64, err error) {
	for range undecidedTries {
		if number, err = redeem(); !errors.Is(err, grant.ErrCodeUndecided) {
			return number, err
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("%w: %w", store.ErrUnavailable, ctx.Err())
		case <-time.After(undecidedPause):
		}
	}
	return 0, fmt.Errorf("%w: %w", store.ErrUnavailable, err)
}

// decide runs a step and, if it fails, goes on later.
func (s *Service) decide(ctx context.Context, step func(context.Context) error) {
	if step(ctx) != nil {
		s.decideLater(ctx, step)
	}
}

// decideLater runs a step in the background until it succeeds, for decideFor at most. If the server ends before, the
// code counts as used after a while.
func (s *Service) decideLater(ctx context.Context, step func(context.Context) error) {
	select {
	case s.deciding <- struct{}{}:
	default:
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), decideFor)
	go func() {
		defer func() { <-s.deciding }()
		defer cancel()
		for step(ctx) != nil {
			select {
			case <-ctx.Done():
				s.cfg.Log.WarnContext(ctx, "the database did not say in time whether a code was redeemed")
				return
			case <-time.After(decidePause):
			}
		}
	}()
}
