package server

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/hallpass-auth/hallpass/authserver/internal/signup"
)

// SignUp is the settings of people who make an account themselves.
type SignUp struct {
	Signup        string   `group:"Mail" env:"HALLPASS_SIGNUP" enum:"off,invitation,open" default:"off" help:"Who may create an account: nobody (off), people whom 'authserver user invite' has invited, or everybody (open). Needs email (${default})."`
	SignupDomains []string `group:"Mail" env:"HALLPASS_SIGNUP_DOMAINS" placeholder:"DOMAIN" help:"With open: only email addresses of these domains may sign up. All by default."`
}

// on reports whether anybody may make an account.
func (s *SignUp) on() bool { return cmp.Or(signup.Mode(s.Signup), signup.Off) != signup.Off }

// policy returns who may make an account. The error names the setting.
func (s *SignUp) policy() (signup.Policy, error) {
	mode := cmp.Or(signup.Mode(s.Signup), signup.Off)
	if len(s.SignupDomains) > 0 && mode != signup.Open {
		return signup.Policy{}, errors.New("--signup-domains (HALLPASS_SIGNUP_DOMAINS) needs --signup=open " +
			"(HALLPASS_SIGNUP): an invitation names its address")
	}
	p, err := signup.NewPolicy(mode, s.SignupDomains)
	if err != nil {
		return signup.Policy{}, fmt.Errorf("--signup-domains (HALLPASS_SIGNUP_DOMAINS): %w", err)
	}
	return p, nil
}

// checkSignUp checks the settings of sign-up.
func (s *Settings) checkSignUp() error {
	p, err := s.SignUp.policy()
	if err != nil {
		return err
	}
	if p.Mode != signup.Off && s.Mail.SMTPURL == "" && !s.inboxOn() {
		return fmt.Errorf("--signup=%s (HALLPASS_SIGNUP) needs email, which is off: set --smtp-url "+
			"(HALLPASS_SMTP_URL), or --mail-inbox (HALLPASS_MAIL_INBOX) to try it out", p.Mode)
	}
	return nil
}
