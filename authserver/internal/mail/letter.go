package mail

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"slices"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// letter is a mail to one address before it is written.
type letter struct {
	kind Kind
	to   string
	user account.User // zero if the mail is not about a user
	name string       // display name in an invitation; may be empty
}

// letters returns the letters of a request. There are none if nobody should get one, for example because the user
// has been deleted since.
func (s *Sender) letters(ctx context.Context, m Request) ([]letter, error) {
	switch m.Kind {
	case ResetPassword:
		return s.resetLetters(ctx, m)
	case SignUp, Invitation:
		return s.signUpLetters(ctx, m)
	case PasswordChanged, SecondFactorAdded, SecondFactorRemoved, RecoveryCodeUsed, RecoveryCodesReplaced,
		PasskeyCopied, PasswordOnly, WrongCodes, NewDevice, VerifyEmail, ChangeEmail, EmailChanging, EmailChanged:
		return s.userLetters(ctx, m)
	case AccountDeleted: // there is no user any longer
		return lettersIf(m.Typed != "", letter{kind: m.Kind, to: m.Typed}), nil
	case HaveAccount: // only in place of others
	}
	return nil, nil
}

// userLetters returns the letter about the active user of a request.
func (s *Sender) userLetters(ctx context.Context, m Request) ([]letter, error) {
	u, err := s.cfg.Store.UserByID(ctx, m.UserID)
	if errors.Is(err, record.ErrNotFound) || (err == nil && !u.Active()) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	l := letter{kind: m.Kind, to: u.Email, user: u}
	switch m.Kind { //nolint:exhaustive // the others are not about a user
	case VerifyEmail:
		return lettersIf(u.Email != "" && u.Email == m.Typed && !u.EmailVerified, l), nil
	case ChangeEmail:
		return s.changeLetters(ctx, m.Typed, u)
	case EmailChanging, EmailChanged:
		l.to = m.Typed
		return lettersIf(m.Typed != "", l), nil
	}
	return lettersIf(u.EmailVerified, l), nil
}

// lettersIf returns the letter if the condition holds.
func lettersIf(condition bool, l letter) []letter {
	if !condition {
		return nil
	}
	return []letter{l}
}

// resetLetters returns the letters to active users who have what was typed, as username or as verified address.
func (s *Sender) resetLetters(ctx context.Context, m Request) ([]letter, error) {
	if m.Typed == "" {
		return nil, nil
	}
	users, err := s.cfg.Store.UsersToReset(ctx, account.FoldEmail(m.Typed), maxUsers)
	if err != nil {
		return nil, err
	}
	if len(users) == 0 {
		u, err := account.Find(ctx, m.Typed, s.cfg.Store.UserByUsername)
		if errors.Is(err, record.ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		users = append(users, u)
	}
	return lettersTo(users, m.Kind), nil
}

// lettersTo returns letters to the verified addresses of those users who are active.
func lettersTo(users []account.User, kind Kind) []letter {
	var letters []letter
	for _, u := range users {
		if u.Active() && u.EmailVerified {
			letters = append(letters, letter{kind: kind, to: u.Email, user: u})
		}
	}
	return letters
}

// signUpLetters returns the letter to somebody who wants an account: with a link, or to the users who have the
// address already. A disabled user gets none, and cannot sign up again. Nobody gets an invitation that was withdrawn.
func (s *Sender) signUpLetters(ctx context.Context, m Request) ([]letter, error) {
	if m.Kind == Invitation && s.cfg.MaySignUp == nil {
		s.cfg.Log.WarnContext(ctx, "an invitation was not sent: --signup (HALLPASS_SIGNUP) is off")
	}
	if m.Typed == "" || s.cfg.MaySignUp == nil {
		return nil, nil
	}
	l := letter{kind: m.Kind, to: m.Typed}
	if m.Kind == Invitation {
		i, err := s.cfg.Store.Invitation(ctx, m.Typed, s.cfg.Now())
		if errors.Is(err, record.ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		l.name = i.Name
	}
	users, err := s.cfg.Store.UsersByEmail(ctx, account.FoldEmail(m.Typed), maxUsers)
	if err != nil || len(users) > 0 {
		return lettersTo(users, HaveAccount), err
	}
	may, err := s.cfg.MaySignUp(ctx, m.Typed)
	return lettersIf(may, l), err
}

// changeLetters returns the letter to the new address of a user, or to the other users who have it already.
func (s *Sender) changeLetters(ctx context.Context, email string, u account.User) ([]letter, error) {
	if email == "" {
		return nil, nil
	}
	users, err := s.cfg.Store.UsersByEmail(ctx, account.FoldEmail(email), maxUsers)
	if err != nil {
		return nil, err
	}
	for _, other := range users {
		if other.ID != u.ID {
			return lettersTo(users, HaveAccount), nil
		}
	}
	return []letter{{kind: ChangeEmail, to: email, user: u}}, nil
}

// deliver writes a letter in a language, with a new link if it has one, and delivers it. A language that this version
// does not know, or none, is that of the configuration.
func (s *Sender) deliver(ctx context.Context, l letter, language string) error {
	if !slices.Contains(catalog.Languages, language) {
		language = cmp.Or(s.cfg.Language, catalog.English)
	}
	v := values{
		Service: cmp.Or(s.cfg.Service, hostOf(s.cfg.IssuerURL)), Name: cmp.Or(l.user.Name, l.name), Username: l.user.Username,
		Minutes: int(account.LinkLifetime / time.Minute), Days: int(account.InvitationLifetime / (24 * time.Hour)),
	}
	var err error
	if v.Link, err = s.newLink(ctx, l); err != nil {
		return err
	}
	message, err := render(s.cfg.Templates.texts[language][l.kind], l.to, v)
	if err != nil {
		return err
	}
	message.Language = language
	return s.cfg.Transport.Deliver(ctx, message)
}

// newLink returns the URL of the link in a letter, and stores its digest if it has a secret. It returns an empty URL
// for a letter without a link.
func (s *Sender) newLink(ctx context.Context, l letter) (string, error) {
	now := s.cfg.Now()
	link := account.Link{User: l.user, CreatedAt: now, ExpiresAt: now.Add(account.LinkLifetime)}
	path := EmailPath
	switch l.kind {
	case ResetPassword:
		path, link.Kind = ResetPath, account.ResetLink
	case VerifyEmail:
		link.Kind = account.VerifyLink
	case ChangeEmail:
		link.Kind, link.NewEmail = account.ChangeLink, l.to
	case SignUp, Invitation:
		return s.newSignUpLink(ctx, l)
	case HaveAccount:
		return s.cfg.IssuerURL + ForgotPath, nil
	case PasswordChanged, SecondFactorAdded, SecondFactorRemoved, RecoveryCodeUsed, RecoveryCodesReplaced,
		PasskeyCopied, PasswordOnly, WrongCodes, NewDevice, EmailChanging, EmailChanged, AccountDeleted:
		return "", nil
	}
	text, err := secret.New(rand.Reader, "")
	if err != nil {
		return "", err
	}
	link.Digest = secret.Digest(text)
	return LinkURL(s.cfg.IssuerURL, path, text), s.cfg.Store.CreateLink(ctx, link)
}

// newSignUpLink stores a link for making an account, and returns its URL.
func (s *Sender) newSignUpLink(ctx context.Context, l letter) (string, error) {
	text, err := secret.New(rand.Reader, "")
	if err != nil {
		return "", err
	}
	lifetime := account.LinkLifetime
	if l.kind == Invitation {
		lifetime = account.InvitationLifetime
	}
	now := s.cfg.Now()
	err = s.cfg.Store.CreateSignUpLink(ctx, account.SignUpLink{
		Digest: secret.Digest(text), Email: l.to, CreatedAt: now, ExpiresAt: now.Add(lifetime),
	})
	return LinkURL(s.cfg.IssuerURL, SignUpPath, text), err
}

// LinkURL returns the URL of a link with a secret to one of the pages.
func LinkURL(issuer, path, secret string) string {
	return issuer + path + "?" + url.Values{LinkParameter: {secret}}.Encode()
}

// hostOf returns the host of the issuer, as mails show it.
func hostOf(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return issuer
	}
	return u.Host
}
