// Package backchannel tells clients that a browser session has ended (OpenID Connect Back-Channel Logout 1.0).
//
// What ends a session stores a notice for each client that has an ID token of the session, in the same
// transaction. So a notice is sent however the session ended, also by a command in another process, and none is
// lost when a server stops. A running server takes the notices that are due, and sends each until the client
// confirms it or the last attempt has failed. A notice is sent at least once, and may be sent twice if a server
// stops before it has recorded the success.
package backchannel

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/outbound"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// notification is the kind of the requests.
var notification = &outbound.Kind{Name: "back-channel logout"}

const (
	// every is how often a server looks for notices.
	every = time.Second
	// perClient is how many notices a client gets at once. The guard allows a host five requests a second.
	perClient = 4
	// atOnce is how many notices are sent at once.
	atOnce = 16
	// lease is how long a server may take to send what it has taken. The guard's timeout is much shorter.
	lease = time.Minute
)

// pauses are how long after each failed attempt the next one follows. A notice is given up after one more.
var pauses = []time.Duration{10 * time.Second, time.Minute, 5 * time.Minute, 20 * time.Minute}

// Store has the notices and the clients. It is safe for concurrent use.
type Store interface {
	// TakeLogoutNotices leases notices that are due.
	TakeLogoutNotices(ctx context.Context, now, until time.Time, perClient, limit int) ([]grant.LogoutNotice, error)
	// DeleteLogoutNotice deletes a notice that was sent or given up.
	DeleteLogoutNotice(ctx context.Context, n grant.LogoutNotice) error
	// ReturnLogoutNotice makes a notice that was not sent due again later. It does not count the attempt.
	ReturnLogoutNotice(ctx context.Context, n grant.LogoutNotice, until time.Time) error
	// PostponeLogoutNotice makes a notice due again later.
	PostponeLogoutNotice(ctx context.Context, n grant.LogoutNotice, until time.Time) error
	// ClientByID returns a client, or record.ErrNotFound.
	ClientByID(ctx context.Context, id string) (client.Client, error)
}

// Tokens signs logout tokens. It is safe for concurrent use.
type Tokens interface {
	// LogoutToken returns a logout token for a client.
	LogoutToken(c client.Client, subject, sessionID string) (string, error)
}

// Config configures a Sender. All fields are required.
type Config struct {
	// Store has the notices and the clients.
	Store Store
	// Tokens signs logout tokens.
	Tokens Tokens
	// Guard sends the requests.
	Guard *outbound.Guard
	// Now is the clock.
	Now func() time.Time
	// Log gets the failures of clients.
	Log *slog.Logger
}

// Sender sends notices. It is safe for concurrent use.
type Sender struct{ cfg Config }

// New returns a sender.
func New(cfg Config) *Sender { return &Sender{cfg: cfg} }

// Run sends notices as they become due, until ctx ends.
func (s *Sender) Run(ctx context.Context) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := s.Send(ctx); err != nil && ctx.Err() == nil {
				s.cfg.Log.DebugContext(ctx, "cannot read which clients to tell of a logout", "error", err)
			}
		}
	}
}

// Send sends the notices that are due, a few of each client, and waits for them. The error is about the
// database; the failures of clients are in the log.
func (s *Sender) Send(ctx context.Context) error {
	now := s.cfg.Now()
	notices, err := s.cfg.Store.TakeLogoutNotices(ctx, now, now.Add(lease), perClient, atOnce)
	if err != nil {
		return err
	}
	errs := make([]error, len(notices))
	var group sync.WaitGroup
	for i, n := range notices {
		group.Go(func() { errs[i] = s.send(ctx, n) })
	}
	group.Wait()
	return errors.Join(errs...)
}

// send sends a notice, and deletes or postpones it.
func (s *Sender) send(ctx context.Context, n grant.LogoutNotice) error {
	c, err := s.cfg.Store.ClientByID(ctx, n.ClientID)
	if errors.Is(err, record.ErrNotFound) || (err == nil && c.BackchannelLogoutURI == "") {
		return s.cfg.Store.DeleteLogoutNotice(ctx, n) // the client was deleted or changed
	}
	if err != nil {
		return errors.Join(err, s.unsent(ctx, n, lease))
	}
	switch err := s.post(ctx, c, n); {
	case errors.Is(err, outbound.ErrBusy): // many clients may share a host: this one has not failed
		return s.unsent(ctx, n, every)
	case err != nil:
		return s.failed(ctx, n, err)
	}
	s.cfg.Log.InfoContext(ctx, "told a client that a session has ended",
		"event", "backchannel_logout", "client", c.ID, "user", n.Subject, "attempt", n.Attempts)
	return s.cfg.Store.DeleteLogoutNotice(context.WithoutCancel(ctx), n) // it was sent, also if the server stops now
}

// unsent makes a notice that was not sent due again after a pause, also if the server stops now. The attempt does not
// count.
func (s *Sender) unsent(ctx context.Context, n grant.LogoutNotice, pause time.Duration) error {
	return s.cfg.Store.ReturnLogoutNotice(context.WithoutCancel(ctx), n, s.cfg.Now().Add(pause))
}

// post sends a logout token (OpenID Connect Back-Channel Logout 1.0 section 2.5).
func (s *Sender) post(ctx context.Context, c client.Client, n grant.LogoutNotice) error {
	text, err := s.cfg.Tokens.LogoutToken(c, n.Subject, n.SessionID)
	if err != nil {
		return err
	}
	form := url.Values{"logout_token": {text}}.Encode()
	return s.cfg.Guard.Post(ctx, notification, c.BackchannelLogoutURI, "application/x-www-form-urlencoded", []byte(form))
}

// failed logs a failed attempt, and makes the notice due again or gives it up.
func (s *Sender) failed(ctx context.Context, n grant.LogoutNotice, reason error) error {
	if ctx.Err() != nil {
		return ctx.Err() // the server stops: another one sends it when the lease has ended
	}
	fields := []any{"client", n.ClientID, "user", n.Subject, "attempt", n.Attempts, "reason", reason}
	if n.Attempts > int64(len(pauses)) {
		s.cfg.Log.ErrorContext(ctx, "a client could not be told that a session has ended, and may still show its user as "+
			"logged in: no attempt follows", append([]any{"event", "backchannel_logout_given_up"}, fields...)...)
		return s.cfg.Store.DeleteLogoutNotice(ctx, n)
	}
	pause := pauses[n.Attempts-1]
	s.cfg.Log.WarnContext(ctx, "a client could not be told that a session has ended: another attempt follows",
		append([]any{"event", "backchannel_logout_failed", "again_in", pause.String()}, fields...)...)
	return s.cfg.Store.PostponeLogoutNotice(ctx, n, s.cfg.Now().Add(pause))
}
