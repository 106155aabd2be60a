package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/hallpass-auth/hallpass/shared/database"
	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/emailcheck"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/recovery"
	"github.com/hallpass-auth/hallpass/authserver/internal/signup"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// Modes of the inbox.
const (
	inboxOff  = "off"
	inboxOn   = "on"
	inboxAuto = "auto" // on if the issuer is this machine and there is no mail server
)

// Mail is the settings of mails to users.
type Mail struct {
	SMTPURL          string `name:"smtp-url" group:"Mail" env:"HALLPASS_SMTP_URL" placeholder:"URL" help:"Mail server for emails to users: smtps://USER@HOST:PORT, or smtp://USER@HOST:PORT with STARTTLS. Without one, no emails are sent, and there are no pages that need them."`
	SMTPPasswordFile string `name:"smtp-password-file" group:"Mail" env:"HALLPASS_SMTP_PASSWORD_FILE" placeholder:"PATH" help:"File with the password of USER."`
	MailFrom         string `group:"Mail" env:"HALLPASS_MAIL_FROM" placeholder:"ADDRESS" help:"Sender of emails, such as \"Accounts <accounts@example.com>\"."`
	MailTemplates    string `group:"Mail" env:"HALLPASS_MAIL_TEMPLATES" placeholder:"DIR" help:"Folder with email texts that replace the built-in ones."`
	MailInbox        string `group:"Mail" env:"HALLPASS_MAIL_INBOX" enum:"off,on,auto" default:"off" help:"Keep emails in an inbox instead of sending them, to try Hallpass out: at /mail of the admin address, and with 'authserver mail list'. on needs an issuer on this machine; auto is on with such an issuer and without a mail server, else off (${default})."`
}

// inboxOn reports whether mails are kept in the inbox.
func (s *Settings) inboxOn() bool {
	return s.Mail.MailInbox == inboxOn ||
		(s.Mail.MailInbox == inboxAuto && isLoopback(s.Issuer) && s.Mail.SMTPURL == "")
}

// checkMail checks the settings of mails.
func (s *Settings) checkMail() error {
	m := s.Mail
	switch {
	case m.MailInbox == inboxOn && !isLoopback(s.Issuer):
		return fmt.Errorf("--mail-inbox (HALLPASS_MAIL_INBOX): with the emails in it, anybody can log in as any user, "+
			"and --issuer (HALLPASS_ISSUER) %s is not on this machine: set --smtp-url (HALLPASS_SMTP_URL)", s.Issuer)
	case m.MailInbox == inboxOn && m.SMTPURL != "":
		return errors.New("--mail-inbox (HALLPASS_MAIL_INBOX) and --smtp-url (HALLPASS_SMTP_URL) cannot be used together")
	case m.SMTPURL == "" && m.SMTPPasswordFile != "":
		return errors.New("--smtp-password-file (HALLPASS_SMTP_PASSWORD_FILE) needs --smtp-url (HALLPASS_SMTP_URL)")
	case m.SMTPURL == "" && m.MailFrom != "":
		return errors.New("--mail-from (HALLPASS_MAIL_FROM) needs --smtp-url (HALLPASS_SMTP_URL)")
	case m.SMTPURL == "" && !s.inboxOn():
		return nil
	}
	_, err := s.transport(nil)
	return err
}

// transport returns what delivers mails: nil if nothing does. The error names the setting.
func (s *Settings) transport(data *store.Store) (mail.Transport, error) {
	if s.inboxOn() {
		return &mail.Inbox{Store: data, Now: s.Now}, nil
	}
	if s.Mail.SMTPURL == "" {
		return nil, nil //nolint:nilnil // there is no transport
	}
	password, err := database.OpenPasswordFile(s.Mail.SMTPPasswordFile)
	if err != nil {
		return nil, fmt.Errorf("--smtp-password-file (HALLPASS_SMTP_PASSWORD_FILE): %w", err)
	}
	transport, err := mail.NewSMTP(mail.SMTPConfig{URL: s.Mail.SMTPURL, Password: password, From: s.Mail.MailFrom})
	switch {
	case errors.Is(err, mail.ErrFrom):
		return nil, fmt.Errorf("--mail-from (HALLPASS_MAIL_FROM): %w", err)
	case err != nil:
		return nil, fmt.Errorf("--smtp-url (HALLPASS_SMTP_URL): %w", err)
	}
	return transport, nil
}

// startMail starts to send mails, and sets what the pages that need them are served by. It does neither if no mails are
// sent.
func (s *Settings) startMail(ctx context.Context, cfg *web.Config, p Parts, login *account.Login) error {
	data, log := p.Data, p.Log
	transport, err := s.transport(data)
	if err != nil {
		return program.WithCode(program.ExitUsage, err)
	}
	if transport == nil {
		p.Background.run(func(ctx context.Context) { forgetMails(ctx, data, s.Now) })
		return nil
	}
	templates, err := mail.LoadTemplates(s.Mail.MailTemplates)
	if err != nil {
		return program.WithCode(program.ExitUsage, fmt.Errorf("--mail-templates (HALLPASS_MAIL_TEMPLATES): %w", err))
	}
	if s.inboxOn() {
		log.WarnContext(ctx, "--mail-inbox (HALLPASS_MAIL_INBOX) keeps emails instead of sending them: use it to try "+
			"Hallpass out only")
	}
	sender := mail.Config{
		IssuerURL: s.Issuer,
		Store:     data,
		Templates: templates,
		Transport: transport,
		Service:   cfg.Theme.Name,
		Language:  cfg.Language,
		Now:       s.Now,
		Log:       log,
	}
	cfg.Recovery = &recovery.Service{Store: data, Login: login, Now: s.Now, Log: log}
	cfg.Emails = &emailcheck.Service{Store: data, Login: login, Now: s.Now, Log: log}
	policy, err := s.SignUp.policy()
	if err != nil {
		return program.WithCode(program.ExitUsage, err)
	}
	if policy.Mode != signup.Off {
		cfg.SignUp = &signup.Service{Store: data, Login: login, Policy: policy, Now: s.Now, Log: log}
		sender.MaySignUp = cfg.SignUp.MaySignUp
	}
	p.Background.run(mail.New(sender).Run)
	return nil
}

// forgetMails deletes the addresses in requests for mails that nobody has sent in time, until ctx ends.
func forgetMails(ctx context.Context, data *store.Store, now func() time.Time) {
	every(ctx, time.Minute, func(ctx context.Context) {
		_, _ = data.ForgetMailRequests(ctx, now().Add(-mail.LimitPeriod)) // the next one repeats it
	})
}

// adminPages returns the pages of the admin listener by path. data returns the database.
func (s *Settings) adminPages(data func() *store.Store) map[string]http.Handler {
	if !s.inboxOn() {
		return nil
	}
	return map[string]http.Handler{
		web.InboxPath: web.InboxPage(func(ctx context.Context) ([]mail.Kept, error) { return data().Inbox(ctx) }),
	}
}
