package mail

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
)

const (
	// every is how often a server looks for requests.
	every = time.Second
	// atOnce is how many requests a server takes and serves at once.
	atOnce = 16
	// lease is how long a server may take to serve a request. It is longer than maxUsers deliveries, of which each
	// step takes at most stepTimeout.
	lease = 5 * time.Minute
	// maxUsers is how many users one address can ask for.
	maxUsers = 5
)

// pauses are how long after each failed attempt the next one follows. A request is given up after one more.
var pauses = []time.Duration{10 * time.Second, time.Minute, 5 * time.Minute, 20 * time.Minute}

// Paths of the pages that links in mails lead to.
const (
	// ResetPath is the page for choosing a new password.
	ResetPath = "/reset"
	// EmailPath is the page for confirming an email address.
	EmailPath = "/email"
	// SignUpPath is the page for making an account.
	SignUpPath = "/signup/account"
	// ForgotPath is the page for a forgotten password. Links to it have no secret.
	ForgotPath = "/forgot"
)

// LinkParameter is the name of the parameter with the secret of a link.
const LinkParameter = "link"

// Store has the requests and the users. It is safe for concurrent use.
type Store interface {
	// TakeMailRequests leases requests that are due.
	TakeMailRequests(ctx context.Context, now, until time.Time, limit int) ([]Request, error)
	// FinishMailRequest records that nothing is left to do for a request.
	FinishMailRequest(ctx context.Context, m Request) error
	// ForgetMailRequests gives up the requests from before a time, and returns how many.
	ForgetMailRequests(ctx context.Context, before time.Time) (int64, error)
	// ReturnMailRequest makes a request for which no mail was sent due again later. It does not count the attempt.
	ReturnMailRequest(ctx context.Context, m Request, until time.Time) error
	// PostponeMailRequest makes a request due again later.
	PostponeMailRequest(ctx context.Context, m Request, until time.Time) error
	// UserByUsername and UserByID return a user, or record.ErrNotFound.
	UserByUsername(ctx context.Context, username string) (account.User, error)
	UserByID(ctx context.Context, id string) (account.User, error)
	// UsersToReset returns the active users with this verified address.
	UsersToReset(ctx context.Context, address string, limit int) ([]account.User, error)
	// UsersByEmail returns the users with this verified address, also those who are disabled.
	UsersByEmail(ctx context.Context, address string, limit int) ([]account.User, error)
	// Invitation returns the invitation for an address, or record.ErrNotFound.
	Invitation(ctx context.Context, email string, now time.Time) (account.Invitation, error)
	// CreateLink stores a link of a user.
	CreateLink(ctx context.Context, l account.Link) error
	// CreateSignUpLink stores a link for making an account.
	CreateSignUpLink(ctx context.Context, l account.SignUpLink) error
}

// Config configures a Sender. All fields but Service, Language and MaySignUp are required.
type Config struct {
	// IssuerURL is the authorization server's identifier. Links are below it.
	IssuerURL string
	// Store has the requests and the users.
	Store Store
	// Templates are the texts.
	Templates *Templates
	// Service is the name of the service in mails; empty for the host of the issuer.
	Service string
	// Language is the language of mails to people of whom none is known, one of catalog.Languages; empty for English.
	Language string
	// Transport delivers the mails.
	Transport Transport
	// MaySignUp reports whether the owner of an email address may make an account now; nil means that nobody may.
	MaySignUp func(ctx context.Context, email string) (bool, error)
	// Now is the clock.
	Now func() time.Time
	// Log gets what was sent, and failures.
	Log *slog.Logger
}

// Sender sends the mails that were asked for. It is safe for concurrent use.
type Sender struct{ cfg Config }

// New returns a sender.
func New(cfg Config) *Sender { return &Sender{cfg: cfg} }

// Run sends mails as they become due, until ctx ends.
func (s *Sender) Run(ctx context.Context) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := errors.Join(s.giveUpOld(ctx), s.Send(ctx)); err != nil && ctx.Err() == nil {
				s.cfg.Log.DebugContext(ctx, "cannot read which mails to send", "error", err)
			}
		}
	}
}

// Send sends the mails that are due, and waits for them. The error is about the database; failed deliveries are in
// the log.
func (s *Sender) Send(ctx context.Context) error {
	for {
		now := s.cfg.Now()
		requests, err := s.cfg.Store.TakeMailRequests(ctx, now, now.Add(lease), atOnce)
		errs := make([]error, len(requests))
		var group sync.WaitGroup
		for i, m := range requests {
			group.Go(func() { errs[i] = s.send(ctx, m) })
		}
		group.Wait()
		if err = errors.Join(append(errs, err)...); err != nil || len(requests) < atOnce {
			return err
		}
	}
}

// giveUpOld gives up the requests that are too old to be taken: no server could send them in time.
func (s *Sender) giveUpOld(ctx context.Context) error {
	n, err := s.cfg.Store.ForgetMailRequests(ctx, s.cfg.Now().Add(-LimitPeriod))
	if n > 0 {
		s.cfg.Log.ErrorContext(ctx, "mails could not be sent within an hour: no attempt follows",
			"event", "mail_given_up", "requests", n)
	}
	return err
}

// send sends the mails of a request, and finishes or postpones it.
func (s *Sender) send(ctx context.Context, m Request) error {
	if _, ok := s.cfg.Templates.texts[catalog.English][m.Kind]; !ok { // a later version has asked for it, and sends it
		return s.failed(ctx, m, letter{}, fmt.Errorf("this server does not know the kind %q", m.Kind))
	}
	letters, err := s.letters(ctx, m)
	if err != nil { // nothing was sent: the attempt does not count, also if the server stops now
		return errors.Join(err, s.cfg.Store.ReturnMailRequest(context.WithoutCancel(ctx), m, s.cfg.Now().Add(lease)))
	}
	for _, l := range letters {
		if err := s.deliver(ctx, l, cmp.Or(m.Language, l.user.Language)); err != nil {
			return s.failed(ctx, m, l, err)
		}
		s.cfg.Log.InfoContext(ctx, "sent a mail",
			"event", "mail_sent", "kind", l.kind, "user", l.user.ID, "attempt", m.Attempts)
	}
	return s.cfg.Store.FinishMailRequest(context.WithoutCancel(ctx), m) // it was sent, also if the server stops now
}

// failed logs a failed attempt, and makes the request due again or gives it up.
func (s *Sender) failed(ctx context.Context, m Request, l letter, reason error) error {
	if ctx.Err() != nil {
		return ctx.Err() // the server stops: another one sends it when the lease has ended
	}
	fields := []any{"kind", m.Kind, "user", l.user.ID, "attempt", m.Attempts, "reason", reason}
	if m.Attempts > int64(len(pauses)) {
		s.cfg.Log.ErrorContext(ctx, "a mail could not be sent: no attempt follows",
			append([]any{"event", "mail_given_up"}, fields...)...)
		return s.cfg.Store.FinishMailRequest(ctx, m)
	}
	pause := pauses[m.Attempts-1]
	s.cfg.Log.WarnContext(ctx, "a mail could not be sent: another attempt follows",
		append([]any{"event", "mail_failed", "again_in", pause.String()}, fields...)...)
	return s.cfg.Store.PostponeMailRequest(ctx, m, s.cfg.Now().Add(pause))
}
