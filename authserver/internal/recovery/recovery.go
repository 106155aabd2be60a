// Package recovery lets users who have forgotten their password choose a new one by a link in a mail.
package recovery

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/ratelimit"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// Limits of what people send, in bytes.
const (
	maxTyped = 254 // an email address (RFC 5321 section 4.5.3.1.3)
	maxLink  = 128
)

// ErrTyped is returned for a text that can be neither a username nor an email address.
var ErrTyped = errors.New("neither a username nor an email address")

// Store is the storage that Service needs. Its methods are safe for concurrent use.
type Store interface {
	// RequestMail stores a request that a stranger has made, or returns mail.ErrTooMany.
	RequestMail(ctx context.Context, m mail.Request, notes ...mail.Request) error
	// ResetLinkUser returns the user of a link, or account.ErrLinkUnknown.
	ResetLinkUser(ctx context.Context, digest string, now time.Time) (account.User, error)
	// UseResetLink sets the password hash of a link's user, once, or returns account.ErrLinkUnknown.
	UseResetLink(ctx context.Context, digest, hash string, now time.Time) error
}

// Service serves users who have forgotten their password. It is safe for concurrent use. All fields are required.
type Service struct {
	Store Store
	// Login hashes passwords, behind the same gate as logins, and knows where users have logged in.
	Login *account.Login
	Now   func() time.Time
	Log   *slog.Logger
}

// From is where somebody asks for a mail.
type From struct {
	// Address is the IP address that the request comes from, without the port.
	Address string
	// Browser is what the browser knows about logins in it.
	Browser account.Browser
	// Language is that of the page, by its BCP 47 tag.
	Language string
}

// Request asks for a mail with a link, for what somebody has typed: a username or an email address. It does the same
// work whether or not a user has it, since the mail is written later. Requests from a browser or an address that the
// user has logged in from count by themselves, so that strangers cannot use them up. It returns ErrTyped,
// mail.ErrTooMany, or an error of ctx or the store.
func (s *Service) Request(ctx context.Context, typed string, from From) error {
	typed = strings.TrimSpace(typed)
	if typed == "" || len(typed) > maxTyped {
		return ErrTyped
	}
	place, err := s.Login.KnownPlace(ctx, typed, from.Address, from.Browser)
	if err != nil {
		return err
	}
	key, network := account.NameKey(typed), ratelimit.SiteNetwork(from.Address)
	if place != "" {
		key, network = key+"\x00"+place, place
	}
	return s.Store.RequestMail(ctx, mail.Request{
		Kind:           mail.ResetPassword,
		Typed:          typed,
		TypedDigest:    s.Login.NameDigest(key),
		Network:        secret.Digest(network),
		FromKnownPlace: place != "",
		Language:       from.Language,
		CreatedAt:      s.Now(),
	})
}

// User returns the user of the link with this secret, or account.ErrLinkUnknown. It changes nothing, so that
// programs that open the links in mails do no harm.
func (s *Service) User(ctx context.Context, link string) (account.User, error) {
	if link == "" || len(link) > maxLink {
		return account.User{}, account.ErrLinkUnknown
	}
	return s.Store.ResetLinkUser(ctx, secret.Digest(link), s.Now())
}

// SetPassword sets the password of the link's user, and ends the user's sessions and logins everywhere. A link
// works once. It returns account.ErrLinkUnknown, account.ErrWeakPassword, an *account.OverloadedError, or an error
// of ctx or the store. The address is the client's IP address.
func (s *Service) SetPassword(ctx context.Context, link, password, address string) error {
	user, err := s.User(ctx, link)
	if err != nil {
		return err
	}
	if err := s.Login.CheckPassword(user, password); err != nil {
		return err
	}
	hash, err := s.Login.Hash(ctx, password, address)
	if err != nil {
		return err
	}
	if err := s.Store.UseResetLink(ctx, secret.Digest(link), hash, s.Now()); err != nil {
		return err
	}
	s.Log.InfoContext(ctx, "a user has chosen a new password by a link in a mail",
		"event", "password_reset", "user", user.ID, "address", address)
	return nil
}
