package webhook_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"

	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/outbound"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/store/storetest"
	"github.com/hallpass-auth/hallpass/authserver/internal/webhook"
)

// plain seals by adding the purpose.
type plain struct{}

func (plain) Seal(_ context.Context, text, purpose string) (string, error) {
	return purpose + "|" + text, nil
}

func (plain) Open(_ context.Context, sealed, purpose string) (string, error) {
	text, ok := strings.CutPrefix(sealed, purpose+"|")
	if !ok {
		return "", errors.New("another purpose")
	}
	return text, nil
}

// fixture is a database with a receiver and two servers that call it.
type fixture struct {
	t        *testing.T
	store    *store.Store
	service  *webhook.Service
	receiver *httptest.Server
	log      bytes.Buffer

	mu       sync.Mutex
	now      time.Time
	status   int
	received []received
	results  map[string]int
}

type received struct {
	header http.Header
	body   []byte
}

func (f *fixture) clock() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func start(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{
		t: t, now: time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC), status: http.StatusOK, results: map[string]int{},
	}
	var err error
	if f.store, err = store.Open(t.Context(), "sqlite:"+storetest.SQLite(t), databasetest.Pool); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.store.Close() })
	f.receiver = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.received = append(f.received, received{r.Header.Clone(), body})
		w.WriteHeader(f.status)
	}))
	t.Cleanup(f.receiver.Close)
	f.service = &webhook.Service{Store: f.store, Sealer: plain{}, URLs: f.guard(nil), Now: f.clock}
	return f
}

// guard returns a guard that lets requests to the receiver through.
func (f *fixture) guard(resolver outbound.Resolver) *outbound.Guard {
	exception, err := outbound.ParseException(strings.TrimPrefix(f.receiver.URL, "http://"))
	if err != nil {
		f.t.Fatal(err)
	}
	return outbound.New(outbound.Config{
		Exception: exception, Resolver: resolver, Timeout: time.Hour, Now: f.clock,
		Log: slog.New(slog.NewTextHandler(&f.log, nil)),
	})
}

// sender returns one of several servers.
func (f *fixture) sender() *webhook.Sender {
	return &webhook.Sender{
		Queue: f.store, Sealer: plain{}, Guard: f.guard(nil), Now: f.clock, Log: slog.New(slog.DiscardHandler),
		Observe: func(result string) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.results[result]++
		},
	}
}

// add adds a webhook of the receiver.
func (f *fixture) add(events ...string) (w webhook.Webhook, secret string) {
	f.t.Helper()
	w, secret, err := f.service.Add(f.t.Context(), f.receiver.URL+"/hook?token=geheim", events)
	if err != nil {
		f.t.Fatal(err)
	}
	f.seal()
	return w, secret
}

// record records and seals events.
func (f *fixture) record(names ...string) {
	f.t.Helper()
	for _, name := range names {
		err := f.store.Record(f.t.Context(), audit.Event{Name: name, At: f.clock()})
		if err != nil {
			f.t.Fatal(err)
		}
	}
	f.seal()
}

func (f *fixture) seal() {
	f.t.Helper()
	if _, err := f.store.SealAudit(f.t.Context(), 100); err != nil {
		f.t.Fatal(err)
	}
}

// send makes the deliveries that are due, after a time.
func (f *fixture) send(s *webhook.Sender, later time.Duration) {
	f.t.Helper()
	f.mu.Lock()
	f.now = f.now.Add(later)
	f.mu.Unlock()
	if err := s.Start(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	s.Wait()
}

// types returns the events that the receiver was told of.
func (f *fixture) types() (types []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.received {
		var m webhook.Message
		if err := json.Unmarshal(r.body, &m); err != nil {
			f.t.Error(err)
		}
		types = append(types, m.Type)
	}
	return types
}

// A receiver gets the events that it wants, with a signature that it can check as Standard Webhooks says.
func TestDelivery(t *testing.T) {
	t.Parallel()
	f := start(t)
	_, secret := f.add("login*", "user_*ed")
	f.record("login", "logout", "login_failed", "user_disabled", "user_set")
	f.send(f.sender(), 0)
	if got := fmt.Sprint(f.types()); got != "[login login_failed user_disabled]" {
		t.Errorf("told of %s", got)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) != 32 {
		t.Fatalf("secret of %d bytes, %v", len(key), err)
	}
	for _, r := range f.received {
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", r.header.Get("Webhook-Id"), r.header.Get("Webhook-Timestamp"), r.body)
		want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		if got := r.header.Get("Webhook-Signature"); got != want || r.header.Get("Webhook-Id") == "" {
			t.Errorf("signature %q of %q, want %q", got, r.header.Get("Webhook-Id"), want)
		}
	}
	f.send(f.sender(), time.Hour)
	if n := len(f.types()); n != 3 {
		t.Errorf("%d requests, want that none is repeated", n)
	}
}

// A delivery that fails is tried again, later and later, and is dead after the last attempt. Then it can be retried.
func TestRetries(t *testing.T) {
	t.Parallel()
	f := start(t)
	w, _ := f.add("login")
	f.status = http.StatusServiceUnavailable
	f.record("login")
	s := f.sender()
	f.send(s, 0)
	f.send(s, time.Second) // too early
	if n := len(f.types()); n != 1 {
		t.Errorf("%d attempts, want 1", n)
	}
	for range 20 {
		f.send(s, 12*time.Hour)
	}
	if n := len(f.types()); n != 8 || f.results["failed"] != 7 || f.results["dead"] != 1 {
		t.Errorf("%d attempts with results %v, want 8", n, f.results)
	}
	dead, err := f.store.DeadDeliveries(t.Context(), w.ID, 10)
	if err != nil || len(dead) != 1 || !strings.Contains(dead[0].Reason, "503") {
		t.Errorf("dead: %+v, %v", dead, err)
	}
	if strings.Contains(dead[0].Reason+f.log.String(), "geheim") {
		t.Errorf("the reason or the log has the URL's secret: %s\n%s", dead[0].Reason, f.log.String())
	}
	f.status = http.StatusNoContent
	if n, err := f.service.Retry(t.Context(), w.ID, ""); n != 1 || err != nil {
		t.Errorf("retried %d, %v", n, err)
	}
	f.send(s, 0)
	if hooks, err := f.store.Webhooks(t.Context()); err != nil || hooks[0].Dead+hooks[0].Waiting != 0 {
		t.Errorf("after the retry: %+v, %v", hooks, err)
	}
	f.status = http.StatusGone
	f.record("login")
	for range 9 {
		f.send(s, 12*time.Hour)
	}
	if err := f.store.ForgetDeliveries(t.Context(), f.clock().Add(time.Hour), 10); err != nil {
		t.Fatal(err)
	}
	if dead, err := f.store.DeadDeliveries(t.Context(), w.ID, 10); err != nil || len(dead) != 0 {
		t.Errorf("old dead deliveries stay: %+v, %v", dead, err)
	}
}

// Only what is sent counts as an attempt: neither what waits behind a request during which the server stops, nor what
// cannot be read.
func TestOnlyAttemptsCount(t *testing.T) {
	t.Parallel()
	f := start(t)
	w, _ := f.add("login")
	f.record("login", "login", "login", "login", "login")
	ctx, stop := context.WithCancel(t.Context())
	f.receiver.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		stop()
		panic(http.ErrAbortHandler)
	})
	s := f.sender()
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	s.Wait()
	reads := f.sender()
	reads.Queue = unreadable{f.store}
	f.send(reads, 2*time.Minute)
	f.send(reads, 2*time.Minute)
	until := f.clock().Add(time.Hour)
	taken, err := f.store.TakeDeliveries(t.Context(), w.ID, until, until, 10)
	if err != nil || len(taken) != 5 {
		t.Fatalf("%d deliveries, %v", len(taken), err)
	}
	var attempts []int64
	for _, d := range taken {
		attempts = append(attempts, d.Attempts-1) // the test has taken it, too
	}
	slices.Sort(attempts)
	if want := []int64{0, 0, 0, 0, 1}; !slices.Equal(attempts, want) {
		t.Errorf("attempts: %v, want %v", attempts, want)
	}
}

// unreadable is a queue whose records cannot be read.
type unreadable struct{ *store.Store }

func (unreadable) AuditRecord(context.Context, string) (audit.Record, error) {
	return audit.Record{}, store.ErrUnavailable
}

// If nothing is dead, there is nothing to retry: that is an error which says whether one delivery or all were meant.
func TestNothingToRetry(t *testing.T) {
	t.Parallel()
	f := start(t)
	w, _ := f.add("login")
	if hooks, err := f.service.List(t.Context()); err != nil || len(hooks) != 1 || hooks[0].ID != w.ID {
		t.Errorf("webhooks: %+v, %v", hooks, err)
	}
	if dead, err := f.service.Dead(t.Context(), w.ID); err != nil || len(dead) != 0 {
		t.Errorf("dead: %+v, %v", dead, err)
	}
	for _, c := range []struct {
		id, recordID string
		noneDead     bool
	}{{w.ID, "", true}, {w.ID, "another", false}, {"nothing", "", false}} {
		n, err := f.service.Retry(t.Context(), c.id, c.recordID)
		if n != 0 || !errors.Is(err, record.ErrNotFound) || errors.Is(err, webhook.ErrNoneDead) != c.noneDead {
			t.Errorf("%+v: %d, %v", c, n, err)
		}
	}
	if err := f.service.Delete(t.Context(), w.ID); err != nil {
		t.Error(err)
	}
	if err := f.service.Delete(t.Context(), w.ID); !errors.Is(err, record.ErrNotFound) {
		t.Errorf("deleted twice: %v", err)
	}
}

// A receiver that responds with something else than HTTP chooses a part of the reason. Whatever it is, and wherever the
// reason is cut, PostgreSQL can store it: otherwise the delivery would never be dead.
func TestReasonIsText(t *testing.T) {
	t.Parallel()
	for shift := range 4 {
		f := start(t)
		f.receiver.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack() //nolint:forcetypeassert // of HTTP/1.1
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, strings.Repeat("x", shift)+strings.Repeat("\U0001F4A9", 200)+"\x00\r\n\r\n")
			_ = conn.Close()
		})
		w, _ := f.add("login")
		f.record("login")
		for range 9 {
			f.send(f.sender(), 12*time.Hour)
		}
		dead, err := f.store.DeadDeliveries(t.Context(), w.ID, 10)
		if err != nil || len(dead) != 1 {
			t.Fatalf("dead: %+v, %v", dead, err)
		}
		if r := dead[0].Reason; !utf8.ValidString(r) || strings.ContainsRune(r, 0) || !strings.Contains(r, "\U0001F4A9") {
			t.Errorf("the reason is %q", r)
		}
	}
}

// Of several servers, one makes each delivery.
func TestServersShareDeliveries(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.add("login")
	for range 15 {
		f.record("login")
	}
	servers := []*webhook.Sender{f.sender(), f.sender(), f.sender()}
	var group sync.WaitGroup
	for _, s := range servers {
		group.Go(func() {
			for range 3 {
				if err := s.Start(t.Context()); err != nil {
					t.Error(err)
				}
				s.Wait()
			}
		})
	}
	group.Wait()
	if n := len(f.types()); n != 15 {
		t.Errorf("%d requests, want 15", n)
	}
}

// A receiver that does not respond holds up nobody else.
func TestSlowReceiver(t *testing.T) {
	t.Parallel()
	f := start(t)
	release := make(chan struct{})
	stuck := make(chan struct{}, 100)
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		stuck <- struct{}{}
		<-release
	}))
	t.Cleanup(slow.Close)
	t.Cleanup(func() { close(release) })
	exception, err := outbound.ParseException(strings.TrimPrefix(slow.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	w := webhook.Webhook{ID: "wh_0slow", URL: slow.URL, Events: []string{"login"}, CreatedAt: f.clock()}
	if w.Secret, err = (plain{}).Seal(t.Context(), "whsec_c2VjcmV0", "webhook "+w.ID); err != nil {
		t.Fatal(err)
	}
	if err := f.store.AddWebhook(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	s := f.sender()
	s.Guard = outbound.New(outbound.Config{Exception: exception, Timeout: time.Hour, Now: f.clock})
	f.record("login")
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-stuck // and goes on for as long as the test
	f.add("login")
	for range 3 {
		f.record("login")
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, func() bool { // the guard refuses the receiver, which is no exception here: it is tried and fails
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.results["failed"] >= 3
	}, s, f)
	if len(stuck) != 0 {
		t.Errorf("the slow receiver got %d more requests meanwhile", len(stuck))
	}
}

// waitFor waits until a condition holds, and starts what is due.
func waitFor(t *testing.T, done func() bool, s *webhook.Sender, f *fixture) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("results %v", f.results)
		}
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// No webhook points inside: not by its address, not by a name, not by a redirect, and not by a name whose address
// changes after it was added.
func TestWebhookThatPointsInside(t *testing.T) {
	t.Parallel()
	f := start(t)
	for _, url := range []string{
		"http://example.com/hook", "https://127.0.0.1/hook", "https://[::1]/hook", "https://169.254.169.254/latest",
		"https://10.0.0.1/", "https://192.168.1.1/", "https://[fe80::1]/", "https://[::ffff:127.0.0.1]/", "https://localhost/",
		"https://user:secret@example.com/", "ftp://example.com/", "https://0.0.0.0/", "",
	} {
		if _, _, err := f.service.Add(t.Context(), url, nil); !errors.Is(err, webhook.ErrBad) {
			t.Errorf("%s: %v, want %v", url, err, webhook.ErrBad)
		}
	}
	for _, inside := range []string{"127.0.0.1", "169.254.169.254", "10.1.2.3", "::1", "fe80::1"} {
		if _, _, err := f.service.Add(t.Context(), "https://rebound.example/hook", []string{"login"}); err != nil {
			t.Fatal(err)
		}
		s := f.sender()
		s.Guard = f.guard(resolver{inside}) // the name is looked up for each request
		f.record("login")
		before := f.results["failed"]
		f.send(s, 0)
		if f.results["failed"] <= before || f.results["sent"] > 0 {
			t.Errorf("a name that is now %s: results %v", inside, f.results)
		}
		if !strings.Contains(f.log.String(), "refused") {
			t.Errorf("a name that is now %s is not refused:\n%s", inside, f.log.String())
		}
	}
	if n := len(f.types()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// resolver says that every name has one address.
type resolver struct{ address string }

func (r resolver) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	a, err := netip.ParseAddr(r.address)
	return []netip.Addr{a}, err
}

// A redirect is not followed: it is a failure.
func TestWebhookIsNotRedirected(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.add("login")
	f.status = http.StatusTemporaryRedirect
	f.record("login")
	f.send(f.sender(), 0)
	if len(f.types()) != 1 || f.results["failed"] != 1 {
		t.Errorf("%d requests, results %v", len(f.types()), f.results)
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	f := start(t)
	for range webhook.MaxWebhooks {
		f.add("none")
	}
	if _, _, err := f.service.Add(t.Context(), f.receiver.URL, nil); !errors.Is(err, webhook.ErrTooMany) {
		t.Errorf("one more: %v", err)
	}
	for _, events := range [][]string{{""}, {"[a"}, {"a b"}, {"a\n"}, {strings.Repeat("x", 101)}, make([]string, 51)} {
		if _, _, err := f.service.Add(t.Context(), f.receiver.URL, events); !errors.Is(err, webhook.ErrBad) {
			t.Errorf("events %q: %v", events, err)
		}
	}
}
