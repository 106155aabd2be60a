package mail

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// stepTimeout is the default of SMTPConfig.StepTimeout.
const stepTimeout = 10 * time.Second

// Default ports of mail servers (RFC 8314 section 3.3).
const (
	submissionPort  = 587
	submissionsPort = 465
)

// SMTPConfig configures delivery by a mail server.
type SMTPConfig struct {
	// URL is smtp://USER@HOST:PORT, which requires STARTTLS unless the host is this machine, or
	// smtps://USER@HOST:PORT for TLS from the start. Without USER, the server asks for no login.
	URL string
	// Password returns the user's password. It is called for each mail, so that the password may be replaced at any
	// time; nil for no password.
	Password func() (string, error)
	// From is the sender: an address, or a name and an address as in "Accounts <accounts@example.com>".
	From string
	// TLS is the configuration of TLS; nil means that the system's roots are trusted.
	TLS *tls.Config
	// StepTimeout limits each step of a delivery: to connect, to greet and log in, to send the mail, and to quit. Zero
	// means 10 seconds; the lease of a Sender allows for no more.
	StepTimeout time.Duration
}

// SMTP delivers mails by a mail server. It is safe for concurrent use.
type SMTP struct {
	host     string
	from     *mail.Address
	password func() (string, error)
	options  []gomail.Option
}

// Errors about the settings of a mail server.
var (
	// ErrServer means that the URL cannot be used.
	ErrServer = errors.New("it must be smtp://USER@HOST:PORT or smtps://USER@HOST:PORT, without a password")
	// ErrFrom means that the sender cannot be used.
	ErrFrom = errors.New(`it must be an address, such as accounts@example.com, or "Accounts <accounts@example.com>"`)
)

// NewSMTP returns a transport, or ErrServer or ErrFrom. It does not connect.
func NewSMTP(cfg SMTPConfig) (*SMTP, error) {
	from, err := mail.ParseAddress(cfg.From)
	if err != nil {
		return nil, ErrFrom
	}
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Hostname() == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, ErrServer
	}
	if _, hasPassword := u.User.Password(); hasPassword {
		return nil, ErrServer
	}
	s := &SMTP{host: u.Hostname(), from: from}
	s.options = []gomail.Option{gomail.WithTimeout(cmp.Or(cfg.StepTimeout, stepTimeout)), gomail.WithoutNoop()}
	if cfg.TLS != nil {
		s.options = append(s.options, gomail.WithTLSConfig(cfg.TLS))
	}
	port, err := s.addSecurity(u)
	if err != nil {
		return nil, err
	}
	s.options = append(s.options, gomail.WithPort(port))
	if user := u.User.Username(); user != "" {
		auth := gomail.SMTPAuthAutoDiscover
		if u.Scheme == "smtp" && s.local() {
			auth = gomail.SMTPAuthPlainNoEnc // the password does not leave this machine
		}
		s.options = append(s.options, gomail.WithSMTPAuth(auth), gomail.WithUsername(user))
		s.password = cfg.Password
	}
	_, err = s.client() // it checks the options
	return s, err
}

// addSecurity adds the options for TLS, and returns the port.
func (s *SMTP) addSecurity(u *url.URL) (port int, err error) {
	switch u.Scheme {
	case "smtps":
		port = submissionsPort
		s.options = append(s.options, gomail.WithSSL())
	case "smtp":
		port = submissionPort
		policy := gomail.TLSMandatory
		if s.local() {
			policy = gomail.NoTLS
		}
		s.options = append(s.options, gomail.WithTLSPolicy(policy))
	default:
		return 0, ErrServer
	}
	if u.Port() == "" {
		return port, nil
	}
	if port, err = strconv.Atoi(u.Port()); err != nil || port < 1 || port > 65535 {
		return 0, ErrServer
	}
	return port, nil
}

// local reports whether the mail server is on this machine.
func (s *SMTP) local() bool {
	ip := net.ParseIP(s.host)
	return s.host == "localhost" || (ip != nil && ip.IsLoopback())
}

// client returns a client for one mail.
func (s *SMTP) client() (*gomail.Client, error) {
	options := slices.Clone(s.options)
	if s.password != nil {
		password, err := s.password()
		if err != nil {
			return nil, err
		}
		options = append(options, gomail.WithPassword(password))
	}
	return gomail.NewClient(s.host, options...)
}

// Deliver sends a message.
func (s *SMTP) Deliver(ctx context.Context, m Message) error {
	message := gomail.NewMsg()
	if m.Language != "" {
		message.SetGenHeader("Content-Language", m.Language) // RFC 3282
	}
	if err := message.FromFormat(s.from.Name, s.from.Address); err != nil {
		return err
	}
	if err := message.To(m.To); err != nil {
		return errors.New("the email address cannot be used in an email")
	}
	message.Subject(m.Subject)
	message.SetMessageID()
	message.SetDate()
	message.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834 section 5: no automatic replies
	message.SetBodyString(gomail.TypeTextPlain, m.Text)
	client, err := s.client()
	if err != nil {
		return err
	}
	err = client.DialAndSendWithContext(ctx, message)
	if err == nil || message.IsDelivered() { // what follows the delivery may fail
		return nil
	}
	var refused *gomail.SendError
	if errors.As(err, &refused) && refused.ErrorCode() != 0 { // its text may quote the mail, which may have a link
		return fmt.Errorf("the mail server %s refused it: %d %s", s.host, refused.ErrorCode(), refused.EnhancedStatusCode())
	}
	return fmt.Errorf("the mail server %s did not take it: %w", s.host, err)
}
