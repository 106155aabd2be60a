package web_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/httpserver"

	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// The log and the metrics contain no password, secret or token, even at level debug, and
// even if a request has one in the wrong place. Every test with newSite checks this; here
// there is a request log too.
func TestSecretsStayOutOfTheLog(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(cfg *web.Config) { cfg.AllowedOrigins = []string{"https://app.example"} })
	admin := s.behindServer()
	secret := s.secrets[backend]
	ok := s.post(passwordGrant(), basic(backend, secret))
	raw, _ := ok.body["access_token"].(string)
	s.expectOK("login", ok)
	s.post(login("password", guess))
	s.post(passwordGrant("username", guess, "scope", guess))
	s.post(passwordGrant("client_id", backend, "client_secret", guess))
	s.post(login(), func(r *http.Request) { r.URL.RawQuery = login("client_secret", secret, "access_token", raw) })
	s.post(login(), rawBasic(secret+":"+secret))
	s.post(login(), rawBasic("%zz"+secret))
	s.post(login()+"&%zz"+secret, header("Referer", "https://app.example/?password="+password))
	s.post(`{"password":"`+password+`"}`,
		header("Content-Type", "application/json"), header("Authorization", "Bearer "+raw))
	s.post(login(), header("X-Forwarded-For", password), header("Cookie", "session="+secret),
		header("User-Agent", secret), header("X-Request-Id", secret))
	s.send(s.request("", func(r *http.Request) { r.Method, r.URL.RawQuery = http.MethodGet, login() }))
	s.send(s.request("", func(r *http.Request) { r.URL.Path, r.URL.RawQuery = "/x", login() }))
	s.must(s.data.Close())
	s.post(login())
	s.post(passwordGrant("client_id", backend, "client_secret", secret))

	const requests = 14
	if lines := strings.Count(s.log.String(), "msg=request "); lines != requests {
		t.Errorf("%d requests in the log, want %d:\n%s", lines, requests, s.log)
	}
	for _, hidden := range s.hidden {
		if strings.Contains(s.fetch(admin+"/metrics"), hidden) {
			t.Errorf("/metrics contains %q", hidden)
		}
	}
}

// behindServer runs the site's handler in an httpserver.Server, as the program does. It
// returns the URL of the admin listener.
func (s *site) behindServer() (admin string) {
	s.t.Helper()
	ctx, cancel := context.WithCancelCause(context.Background())
	ended := make(chan error, 1)
	listening := make(listenWriter, 1)
	log := io.MultiWriter(s.log, listening)
	server := &httpserver.Server{
		Settings: httpserver.Settings{
			Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0",
			ReadHeaderTimeout: time.Hour, ReadTimeout: time.Hour, WriteTimeout: time.Hour, StopTimeout: time.Hour,
		},
		Handler:  s.handler,
		Registry: s.registry,
		Log:      slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	go func() { ended <- server.Run(ctx) }()
	s.t.Cleanup(func() {
		cancel(httpserver.ErrStopNow)
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
	})
	select {
	case addresses := <-listening:
		s.url = "http://" + addresses.public
		return "http://" + addresses.admin
	case err := <-ended:
		ended <- nil
		s.t.Fatal(err)
		return ""
	}
}

// addresses are those that a server listens on.
type addresses struct{ public, admin string }

// listenWriter is a log that sends the addresses from the server's first line.
type listenWriter chan addresses

var listenLine = regexp.MustCompile(`address=(\S+) admin_address=(\S+)`)

func (l listenWriter) Write(line []byte) (int, error) {
	if found := listenLine.FindSubmatch(line); found != nil {
		l <- addresses{public: string(found[1]), admin: string(found[2])}
	}
	return len(line), nil
}

// fetch returns the body of a URL.
func (s *site) fetch(url string) string {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, url, nil)
	s.must(err)
	resp, err := http.DefaultClient.Do(r)
	s.must(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	s.must(err)
	return string(text)
}

// logBuffer is a log that many goroutines write.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
