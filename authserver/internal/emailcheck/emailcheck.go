// Package emailcheck lets users prove that an email address is theirs, by a link in a mail: the address that they
// have, or a new one.
package emailcheck

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/ratelimit"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// maxLink is the maximum length of a link's secret, in bytes.
const maxLink = 128

// Errors about what a user asks for.
var (
	// ErrEmail is returned for a text that is no email address, or none that a mail can be sent to.
	ErrEmail = errors.New("not an email address")
	// ErrNothingToVerify is returned for a user without an email address, or whose address is verified.
	ErrNothingToVerify = errors.New("the user has no email address that is not verified")
	// ErrSame is returned for a change to the address that the user has, verified.
	ErrSame = errors.New("the user already has this email address")
	// ErrNotLoggedIn is returned for a link that works only for its user, who is not logged in.
	ErrNotLoggedIn = errors.New("the user of the link is not logged in")
)

// Store is the storage that Service needs. Its methods are safe for concurrent use.
type Store interface {
	// RequestMail stores a request and the notes that follow from it, or returns mail.ErrTooMany.
	RequestMail(ctx context.Context, m mail.Request, notes ...mail.Request) error
	// EmailLink returns a link, or account.ErrLinkUnknown.
	EmailLink(ctx context.Context, digest string, now time.Time) (account.Link, error)
	// UseEmailLink gives the address of a link to its user, once.
	UseEmailLink(ctx context.Context, digest string, now time.Time) (account.Link, error)
}

// Service checks email addresses. It is safe for concurrent use. All fields are required.
type Service struct {
	Store Store
	// Login has the key of the digests under which requests are counted.
	Login *account.Login
	Now   func() time.Time
	Log   *slog.Logger
}

// VerifyRequest returns the request for a mail with a link that verifies the email address of a user. It returns
// ErrNothingToVerify.
func VerifyRequest(user account.User, now time.Time) (mail.Request, error) {
	if user.Email == "" || user.EmailVerified {
		return mail.Request{}, ErrNothingToVerify
	}
	return mail.Request{Kind: mail.VerifyEmail, UserID: user.ID, Typed: user.Email, CreatedAt: now}, nil
}

// RequestVerification sends a logged-in user a mail with a link that verifies the email address. It returns
// ErrNothingToVerify, mail.ErrTooMany, or an error of ctx or the store. Requests that
// exceed mail.MaxRequestsOfName or mail.MaxRequestsOfNameByNetwork are accepted and dropped. The address is the
// client's IP address. The language is that of the page.
func (s *Service) RequestVerification(ctx context.Context, user account.User, address, language string) error {
	m, err := VerifyRequest(user, s.Now())
	if err != nil {
		return err
	}
	m.Language = language
	return s.Store.RequestMail(ctx, s.counted(m, address))
}

// RequestChange sends a mail with a link to the new email address of a logged-in user, who has just given the
// password. The address is the user's once the link is used. A note goes to the present address, if that is
// verified. If the new address is that of another user, this user gets a mail instead, and nobody else learns it. It
// returns ErrEmail, ErrSame, mail.ErrTooMany, or an error of ctx or the store. Requests that exceed
// mail.MaxRequestsOfName or mail.MaxRequestsOfNameByNetwork are accepted and dropped. The address is the client's IP
// address. The language is that of the page.
func (s *Service) RequestChange(ctx context.Context, user account.User, email, address, language string) error {
	email, err := account.PrepareOwnEmail(email)
	if err != nil {
		return ErrEmail
	}
	if email == user.Email && user.EmailVerified {
		return ErrSame
	}
	now := s.Now()
	var notes []mail.Request
	if user.EmailVerified {
		notes = append(notes, mail.Request{
			Kind: mail.EmailChanging, UserID: user.ID, Typed: user.Email, Language: language,
			CreatedAt: now,
		})
	}
	m := mail.Request{Kind: mail.ChangeEmail, UserID: user.ID, Typed: email, Language: language, CreatedAt: now}
	return s.Store.RequestMail(ctx, s.counted(m, address), notes...)
}

// counted returns a request with what it is counted under.
func (s *Service) counted(m mail.Request, address string) mail.Request {
	m.TypedDigest = s.Login.NameDigest(account.NameKey(m.Typed))
	m.Network = secret.Digest(ratelimit.SiteNetwork(address))
	return m
}

// Open returns the link with this secret, or account.ErrLinkUnknown. It changes nothing, so that programs that open
// the links in mails do no harm.
func (s *Service) Open(ctx context.Context, link string) (account.Link, error) {
	if link == "" || len(link) > maxLink {
		return account.Link{}, account.ErrLinkUnknown
	}
	return s.Store.EmailLink(ctx, secret.Digest(link), s.Now())
}

// Confirm makes the email address of the link with this secret the verified address of its user, and returns the link.
// It works once: an account.VerifyLink in every browser, an account.ChangeLink where its user is logged in. The userID
// is that of the user who is logged in; empty if nobody is. It returns account.ErrLinkUnknown, ErrNotLoggedIn, which
// leaves the link as it is, account.ErrEmailTaken, or an error of ctx or the store. The address is the client's IP
// address.
func (s *Service) Confirm(ctx context.Context, link, userID, address string) (account.Link, error) {
	l, err := s.Open(ctx, link)
	if err != nil {
		return account.Link{}, err
	}
	if !l.WorksFor(userID) {
		return account.Link{}, ErrNotLoggedIn
	}
	l, err = s.Store.UseEmailLink(ctx, l.Digest, s.Now())
	if err != nil {
		return account.Link{}, err
	}
	s.Log.InfoContext(ctx, "a user has confirmed an email address",
		"event", "email_confirmed", "kind", l.Kind, "user", l.User.ID, "address", address)
	return l, nil
}
