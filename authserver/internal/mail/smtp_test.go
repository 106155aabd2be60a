package mail_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http/httptest"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
)

// mailServer is a mail server that keeps what it is sent.
type mailServer struct {
	password string // empty: nobody has to log in
	refuses  bool   // every mail
	quotes   bool   // what it refuses
	hangsUp  bool   // once it has a mail

	mu    sync.Mutex
	to    []string
	mails []string
}

// session is a connection of a client.
type session struct {
	server   *mailServer
	conn     *smtp.Conn
	loggedIn bool
	to       string
}

func (m *mailServer) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &session{server: m, conn: c}, nil
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		if username != "hallpass" || password != s.server.password {
			return smtp.ErrAuthFailed
		}
		s.loggedIn = true
		return nil
	}), nil
}

func (s *session) Mail(string, *smtp.MailOptions) error {
	if s.server.password != "" && !s.loggedIn {
		return smtp.ErrAuthRequired
	}
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if s.server.refuses {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox"}
	}
	s.to = to
	return nil
}

func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if s.server.quotes {
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "spam: " + quoted(text)}
	}
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.to = append(s.server.to, s.to)
	s.server.mails = append(s.server.mails, string(text))
	return err
}

// quoted returns the line of a mail that has its text.
func quoted(text []byte) string {
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "the text") {
			return strings.TrimSpace(line)
		}
	}
	return "nothing"
}

func (s *session) Reset() {
	if s.server.hangsUp {
		_ = s.conn.Conn().Close()
	}
}

func (s *session) Logout() error { return nil }

// start starts the server and returns its address. With TLS, it speaks nothing else.
func (m *mailServer) start(t *testing.T, config *tls.Config) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if config != nil {
		listener = tls.NewListener(listener, config)
	}
	server := smtp.NewServer(m)
	server.AllowInsecureAuth = true
	server.ErrorLog = discard{}
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		_ = server.Close()
		running.Wait()
	})
	return address
}

type discard struct{}

func (discard) Printf(string, ...any) {}
func (discard) Println(...any)        {}

// certificate returns a certificate for 127.0.0.1 and the roots that it is valid with.
func certificate(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	web := httptest.NewTLSServer(nil)
	defer web.Close()
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	return &tls.Config{Certificates: web.TLS.Certificates, MinVersion: tls.VersionTLS12},
		&tls.Config{RootCAs: roots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}
}

var message = mail.Message{
	To: "Ada <ada@example.com>", Subject: "Passwort für Jürgen 😀", Text: "Grüße\n.\nhttps://login.example/reset?link=a_b-c\n",
}

// Mails arrive whole, with and without TLS and a login (RFC 5321, RFC 8314).
func TestSMTP(t *testing.T) {
	t.Parallel()
	serverTLS, clientTLS := certificate(t)
	for _, tt := range []struct {
		name, scheme, user, password string
		tls                          *tls.Config
	}{
		{"plain", "smtp://", "", "", nil},
		{"login", "smtp://", "hallpass@", "secret of the server", nil},
		{"TLS", "smtps://", "hallpass@", "secret of the server", serverTLS},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := &mailServer{password: tt.password}
			s, err := mail.NewSMTP(mail.SMTPConfig{
				URL: tt.scheme + tt.user + server.start(t, tt.tls), Password: always(tt.password),
				From: "Konten <accounts@example.com>", TLS: clientTLS, StepTimeout: time.Hour,
			})
			if err != nil {
				t.Fatal(err)
			}
			m := message
			m.To = "ada@example.com"
			if err := s.Deliver(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			server.expect(t, m)
		})
	}
}

// always returns a function that returns a password.
func always(password string) func() (string, error) {
	return func() (string, error) { return password, nil }
}

// A password that is replaced while servers run is used for the next mail.
func TestSMTPNewPassword(t *testing.T) {
	t.Parallel()
	server := &mailServer{password: "new"}
	password := "old"
	s, err := mail.NewSMTP(mail.SMTPConfig{
		URL: "smtp://hallpass@" + server.start(t, nil), From: "Konten <accounts@example.com>", StepTimeout: time.Hour,
		Password: func() (string, error) { return password, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	m := message
	m.To = "ada@example.com"
	if err := s.Deliver(t.Context(), m); err == nil {
		t.Fatal("the server took a mail with the old password")
	}
	password = "new"
	if err := s.Deliver(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	server.expect(t, m)
}

// expect checks the only mail that has arrived.
func (m *mailServer) expect(t *testing.T, want mail.Message) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.mails) != 1 || m.to[0] != want.To {
		t.Fatalf("%d mails for %v, want one for %s", len(m.mails), m.to, want.To)
	}
	got, err := netmail.ReadMessage(strings.NewReader(m.mails[0]))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(quotedprintable.NewReader(got.Body))
	if err != nil {
		t.Fatal(err)
	}
	if body := strings.ReplaceAll(string(text), "\r\n", "\n"); body != want.Text {
		t.Errorf("got the text %q, want %q", body, want.Text)
	}
	for name, value := range map[string]string{
		"From": `"Konten" <accounts@example.com>`, "To": "<" + want.To + ">", "Auto-Submitted": "auto-generated",
		"Subject": want.Subject,
	} {
		header, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get(name))
		if err != nil || header != value {
			t.Errorf("%s: got %q and error %v, want %q", name, header, err, value)
		}
	}
	if _, err := got.Header.Date(); err != nil || got.Header.Get("Message-Id") == "" {
		t.Errorf("Date: %v; Message-Id: %q", err, got.Header.Get("Message-Id"))
	}
}

// A mail that is not taken gives an error that has neither its text nor the password.
func TestSMTPErrors(t *testing.T) {
	t.Parallel()
	const password = "secret of the client"
	stopped, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stopped.Close()
	serverTLS, _ := certificate(t)
	for name, url := range map[string]string{
		"refused mailbox":      "smtp://" + (&mailServer{refuses: true}).start(t, nil),
		"refused with a quote": "smtp://" + (&mailServer{quotes: true}).start(t, nil),
		"wrong password":       "smtp://hallpass@" + (&mailServer{password: "another"}).start(t, nil),
		"no login":             "smtp://" + (&mailServer{password: "another"}).start(t, nil),
		"unknown certificate":  "smtps://" + (&mailServer{}).start(t, serverTLS),
		"nothing listens":      "smtp://" + stopped.Addr().String(),
		"server without TLS":   "smtps://" + (&mailServer{}).start(t, nil),
	} {
		s, err := mail.NewSMTP(mail.SMTPConfig{URL: url, Password: always(password), From: "a@b.example"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err = s.Deliver(ctx, mail.Message{To: "ada@example.com", Subject: "subject", Text: "the text\n"})
		if err == nil || strings.Contains(err.Error(), password) || strings.Contains(err.Error(), "the text") ||
			strings.Contains(err.Error(), "ada") {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}

// A mail that the server has taken is delivered, whatever follows.
func TestSMTPHangsUp(t *testing.T) {
	t.Parallel()
	server := &mailServer{hangsUp: true}
	s, err := mail.NewSMTP(mail.SMTPConfig{
		URL: "smtp://" + server.start(t, nil), From: "Konten <accounts@example.com>", StepTimeout: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	m := message
	m.To = "ada@example.com"
	if err := s.Deliver(t.Context(), m); err != nil {
		t.Errorf("the server has taken it, but: %v", err)
	}
	server.expect(t, m)
}

func TestSMTPSettings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		url, from string
		want      error
	}{
		{"smtp://mail.example", "a@b.example", nil},
		{"smtps://user@mail.example:465", "Accounts <a@b.example>", nil},
		{"smtp://user@[::1]:25", "a@b.example", nil},
		{"smtp://user:password@mail.example", "a@b.example", mail.ErrServer},
		{"https://mail.example", "a@b.example", mail.ErrServer},
		{"mail.example:587", "a@b.example", mail.ErrServer},
		{"smtp://mail.example/path", "a@b.example", mail.ErrServer},
		{"smtp://mail.example?tls=no", "a@b.example", mail.ErrServer},
		{"smtp://mail.example:0", "a@b.example", mail.ErrServer},
		{"smtp://mail.example:99999", "a@b.example", mail.ErrServer},
		{"smtp://", "a@b.example", mail.ErrServer},
		{"", "a@b.example", mail.ErrServer},
		{"smtp://mail.example", "", mail.ErrFrom},
		{"smtp://mail.example", "nobody", mail.ErrFrom},
		{"smtp://mail.example", "a@b.example\r\nBcc: x@y.example", mail.ErrFrom},
	} {
		if _, err := mail.NewSMTP(mail.SMTPConfig{URL: tt.url, From: tt.from}); !errors.Is(err, tt.want) {
			t.Errorf("%s from %q: got error %v, want %v", tt.url, tt.from, err, tt.want)
		}
	}
}
