// Package signup lets people make an account themselves.
//
// Somebody types an email address, or is invited, and gets a mail with a link. The page of the link asks for a
// username, a name and a password. So every account has a verified address, and nobody learns from the page whether
// an address has an account: its owner does, by a mail.
package signup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/ratelimit"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// maxLink is the maximum length of a link's secret, in bytes.
const maxLink = 128

// Errors of a Service.
var (
	// ErrEmail is returned for a text that is no email address, or none that can sign up.
	ErrEmail = errors.New("not an email address")
	// ErrDomain is returned for an email address of a domain that may not sign up.
	ErrDomain = errors.New("email addresses of this domain cannot sign up")
	// ErrUsername is returned for a username that another user has, or that looks like another user's.
	ErrUsername = errors.New("the username is in use")
)

// Store is the storage that Service needs. Its methods are safe for concurrent use.
type Store interface {
	// RequestMail stores a request that a stranger has made, or returns mail.ErrTooMany.
	RequestMail(ctx context.Context, m mail.Request, notes ...mail.Request) error
	// SignUpLink returns a link, or account.ErrLinkUnknown.
	SignUpLink(ctx context.Context, digest string, now time.Time) (account.SignUpLink, error)
	// Invitation returns the invitation for an address, or record.ErrNotFound.
	Invitation(ctx context.Context, email string, now time.Time) (account.Invitation, error)
	// UsersByEmail returns the users with a verified address.
	UsersByEmail(ctx context.Context, address string, limit int) ([]account.User, error)
	// SignUp adds the user of a link, once.
	SignUp(ctx context.Context, digest string, u account.User, invited bool, now time.Time) error
}

// Service makes accounts. It is safe for concurrent use. All fields are required.
type Service struct {
	Store Store
	// Login hashes passwords, behind the same gate as logins.
	Login  *account.Login
	Policy Policy
	Now    func() time.Time
	Log    *slog.Logger
}

// Request asks for a mail with a link to an email address. It does the same work whether or not a user has the
// address, since that is looked up when the mail is written. It returns ErrEmail, ErrDomain, mail.ErrTooMany, or an
// error of ctx or the store. The address is the client's IP address.
func (s *Service) Request(ctx context.Context, email, address string) error {
	email, err := account.PrepareOwnEmail(email)
	if err != nil {
		return ErrEmail
	}
	if s.Policy.Mode == Open && !s.Policy.allows(email) {
		return ErrDomain
	}
	return s.Store.RequestMail(ctx, mail.Request{
		Kind:        mail.SignUp,
		Typed:       email,
		TypedDigest: s.AddressDigest(email),
		Network:     secret.Digest(ratelimit.SiteNetwork(address)),
		CreatedAt:   s.Now(),
	})
}

// AddressDigest returns the keyed digest of an email address, which is the same for addresses that differ in case only.
func (s *Service) AddressDigest(email string) string {
	return s.Login.NameDigest(account.NameKey(email))
}

// MaySignUp reports whether the owner of an email address may make an account now.
func (s *Service) MaySignUp(ctx context.Context, email string) (bool, error) {
	_, may, err := s.invitation(ctx, email)
	return may, err
}

// invitation returns the invitation for an email address, if there is one, and whether its owner may make an account.
func (s *Service) invitation(ctx context.Context, email string) (i account.Invitation, may bool, err error) {
	i, err = s.Store.Invitation(ctx, email, s.Now())
	if errors.Is(err, record.ErrNotFound) {
		return i, s.Policy.allows(email), nil
	}
	return i, err == nil, err
}

// Open returns the link with this secret, and the display name of its invitation, if there is one. It returns
// account.ErrLinkUnknown, or account.ErrEmailTaken if somebody has an account with the address by now. It changes
// nothing, so that programs that open the links in mails do no harm.
func (s *Service) Open(ctx context.Context, link string) (l account.SignUpLink, name string, err error) {
	l, i, err := s.open(ctx, link)
	return l, i.Name, err
}

func (s *Service) open(ctx context.Context, link string) (account.SignUpLink, account.Invitation, error) {
	fail := func(err error) (account.SignUpLink, account.Invitation, error) {
		return account.SignUpLink{}, account.Invitation{}, err
	}
	if link == "" || len(link) > maxLink {
		return fail(account.ErrLinkUnknown)
	}
	l, err := s.Store.SignUpLink(ctx, secret.Digest(link), s.Now())
	if err != nil {
		return fail(err)
	}
	i, may, err := s.invitation(ctx, l.Email)
	if err != nil {
		return fail(err)
	}
	if !may { // the invitation was withdrawn, or the setting has changed
		return fail(account.ErrLinkUnknown)
	}
	owners, err := s.Store.UsersByEmail(ctx, account.FoldEmail(l.Email), 1)
	if err == nil && len(owners) > 0 {
		err = account.ErrEmailTaken
	}
	if err != nil {
		return fail(err)
	}
	return l, i, nil
}

// Choice is what somebody chooses who makes an account.
type Choice struct {
	Username string
	Name     string // display name; empty for the username
	Password string
}

// SignUp makes the account of the link with this secret, and returns its user. A link works once. It returns
// account.ErrLinkUnknown, account.ErrEmailTaken, account.ErrBadName, ErrUsername, account.ErrWeakPassword,
// an *account.OverloadedError, or an error of ctx or the store. The address is the client's
// IP address.
func (s *Service) SignUp(ctx context.Context, link string, c Choice, address string) (account.User, error) {
	l, i, err := s.open(ctx, link)
	if err != nil {
		return account.User{}, err
	}
	user, err := s.newUser(c)
	if err != nil {
		return account.User{}, err
	}
	user.Groups = i.Groups
	if err := s.Login.CheckPassword(user, c.Password); err != nil {
		return account.User{}, err
	}
	if user.PasswordHash, err = s.Login.Hash(ctx, c.Password, address); err != nil {
		return account.User{}, err
	}
	user.Email, user.EmailVerified = l.Email, true
	err = s.Store.SignUp(ctx, l.Digest, user, i.Email != "", s.Now())
	if errors.Is(err, record.ErrExists) {
		err = ErrUsername
	}
	if err != nil {
		return account.User{}, err
	}
	s.Log.InfoContext(ctx, "a user has signed up", "event", "signed_up", "user", user.ID, "address", address)
	return user, nil
}

// newUser returns the user without a password. Usernames cannot have an @, so that none is mistaken for an email
// address.
func (s *Service) newUser(c Choice) (account.User, error) {
	name := cmp.Or(strings.TrimSpace(c.Name), strings.TrimSpace(c.Username))
	user, err := account.New(c.Username, name, "", s.Now())
	if err == nil && strings.Contains(user.Username, "@") {
		err = fmt.Errorf("%w: the username has an @, as only email addresses do", account.ErrBadName)
	}
	return user, err
}
