package web_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/httpserver"

	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// No password, secret or token is in the log or in the metrics, not at the level debug
// and not of a request that has it where it does not belong. (Every other test of the
// site looks for them too, but has no request log.)
func TestSecretsStayOutOfTheLog(t *testing.T) {
	s := newSite(t, func(cfg *web.Config) { cfg.AllowedOrigins = []string{"https://app.example"} })
	admin := s.behindServer()
	secret := s.secrets[backend]
	ok := s.post(asPassword(), basic(backend, secret))
	raw, _ := ok.body["access_token"].(string)
	s.expectOK("login", ok)
	s.post(login("password", guess))
	s.post(asPassword("username", guess, "scope", guess))
	s.post(asPassword("client_id", backend, "client_secret", guess))
	s.post(login(), func(r *http.Request) { r.URL.RawQuery = login("client_secret", secret, "access_token", raw) })
	s.post(login(), rawBasic(secret+":"+secret))
	s.post(login(), rawBasic("%zz"+secret))
	s.post(login()+"&%zz"+secret, header("Referer", "https://app.example/?password="+password))
	s.post(`{"password":"`+password+`"}`, header("Content-Type", "application/json"), header("Authorization", "Bearer "+raw))
	s.post(login(), header("X-Forwarded-For", password), header("Cookie", "session="+secret), header("User-Agent", secret), header("X-Request-Id", secret))
	s.send(s.request("", func(r *http.Request) { r.Method, r.URL.RawQuery = http.MethodGet, login() }))
	s.send(s.request("", func(r *http.Request) { r.URL.Path, r.URL.RawQuery = "/x", login() }))
	s.must(s.data.Close())
	s.post(login())
	s.post(asPassword("client_id", backend, "client_secret", secret))

	const requests = 14
	if lines := strings.Count(s.log.String(), "msg=request "); lines != requests {
		t.Errorf("%d requests are in the log, want %d:\n%s", lines, requests, s.log)
	}
	for _, hidden := range s.hidden {
		if strings.Contains(s.page(admin+"/metrics"), hidden) {
			t.Errorf("/metrics holds %q", hidden)
		}
	}
}

// behindServer puts the site behind the server that the program runs, whose log is that
// of the site, and returns the URL of the admin listener.
func (s *site) behindServer() (admin string) {
	s.t.Helper()
	ctx, cancel := context.WithCancelCause(context.Background())
	ended := make(chan error, 1)
	server := &httpserver.Server{
		Settings: httpserver.Settings{Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", StopTimeout: 10 * time.Second},
		Handler:  s.handler,
		Registry: s.registry,
		Log:      slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	go func() { ended <- server.Run(ctx) }()
	s.t.Cleanup(func() {
		cancel(httpserver.ErrStopNow)
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
	})
	listening := regexp.MustCompile(`address=(\S+) admin_address=(\S+)`)
	for {
		if found := listening.FindStringSubmatch(s.log.String()); found != nil {
			s.url = "http://" + found[1]
			return "http://" + found[2]
		}
		select {
		case err := <-ended:
			s.t.Fatal(err)
		case <-time.After(time.Millisecond): // until the line is there
		}
	}
}

// page fetches a text.
func (s *site) page(url string) string {
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
