package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
	"github.com/hallpass-auth/hallpass/shared/keyring"

	"github.com/hallpass-auth/hallpass/authserver/internal/backchannel"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/outbound"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/store/storetest"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// told is a site with a client that is told of logouts.
type told struct {
	*site
	tokens  *issuing.Service
	address netip.AddrPort // of the client

	mu     sync.Mutex
	status int // of the client's responses
	got    []*http.Request
	forms  []url.Values
}

// newTold starts a site and a client's server on loopback. Its ID tokens are signed with the algorithm.
func newTold(t testing.TB, algorithm string) *told {
	t.Helper()
	w := &told{status: http.StatusOK}
	w.site = startSite(t, keyring.IDTokenAlgorithms, "sqlite:"+storetest.SQLite(t),
		databasetest.Pool, func(cfg *web.Config) { w.tokens = cfg.Tokens })
	server := httptest.NewServer(http.HandlerFunc(w.receive))
	t.Cleanup(server.Close)
	w.address = netip.MustParseAddrPort(server.Listener.Addr().String())
	w.addOpenIDApp(func(c *client.Client) {
		c.IDTokenAlgorithm, c.BackchannelLogoutURI = algorithm, server.URL+"/told?tenant=1"
	})
	return w
}

// receive is the client's endpoint.
func (w *told) receive(rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got, w.forms = append(w.got, r), append(w.forms, form)
	rw.WriteHeader(w.status)
}

// responds sets the status of the client's responses; 0 lets the requests pass.
func (w *told) responds(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status = status
}

// received returns how many requests the client has received.
func (w *told) received() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.got)
}

// send does what a running server does each second.
func (w *told) send() {
	w.t.Helper()
	w.must(w.sender(w.address).Send(w.t.Context()))
}

// sender returns another server's sender, which may call the address.
func (w *told) sender(exception netip.AddrPort) *backchannel.Sender {
	log := slog.New(slog.NewTextHandler(w.log, nil))
	return backchannel.New(backchannel.Config{
		Store: w.data, Tokens: w.tokens, Now: w.clock, Log: log,
		Guard: outbound.New(outbound.Config{Exception: exception, Timeout: time.Hour, Now: w.clock, Log: log}),
	})
}

// logoutToken verifies the last logout token as OpenID Connect Back-Channel Logout 1.0 section 2.6 says, and
// returns its claims.
func (w *told) logoutToken(algorithm string) map[string]any {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	r, form := w.got[len(w.got)-1], w.forms[len(w.got)-1]
	if r.Method != http.MethodPost || r.URL.String() != "/told?tenant=1" || len(form) != 1 ||
		r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.Header.Get("Cookie") != "" {
		w.t.Errorf("%s %s %v %v", r.Method, r.URL, r.Header, form)
	}
	raw := form.Get("logout_token")
	w.hide(raw)
	ring, err := keyring.ParsePublic([]byte(w.get("/jwks.json").text))
	w.must(err)
	claims := jwt.MapClaims{}
	parsed, err := jwt.ParseWithClaims(raw, claims, func(t *jwt.Token) (any, error) {
		key, _ := ring.Verifier(t.Header["kid"].(string), w.clock())
		return key.VerificationKey(), nil
	}, jwt.WithTimeFunc(w.clock), jwt.WithIssuer(issuer), jwt.WithAudience(openIDApp), jwt.WithIssuedAt(),
		jwt.WithExpirationRequired(), jwt.WithValidMethods([]string{algorithm}))
	if err != nil {
		w.t.Fatal(err)
	}
	if parsed.Header["typ"] != "logout+jwt" {
		w.t.Errorf("header %v", parsed.Header)
	}
	return claims
}

// OpenID Connect Back-Channel Logout 1.0 section 2.4, for each algorithm: the logout token has the sid of the ID
// token, and cannot be confused with one.
func TestBackchannelLogout(t *testing.T) {
	t.Parallel()
	for _, algorithm := range keyring.IDTokenAlgorithms {
		w := newTold(t, algorithm)
		cookie := w.sessionCookie()
		tokens := w.logInToApp(cookie)
		id := w.idToken("login", tokens)
		w.send()
		if n := w.received(); n != 0 {
			t.Fatalf("%d notices before the logout", n)
		}
		// The access token expires long before the session, and other logins sweep old grants.
		w.wait(11 * time.Hour)
		for range 5 {
			w.expectOK("another login", w.post(login()))
		}
		logout := w.serve(withCookie(pageForm("/logout", url.Values{"apps": {"end"}}), cookie))
		if logout.status != http.StatusSeeOther || w.received() != 0 {
			t.Fatalf("logout: %d after %d notices, want no wait", logout.status, w.received())
		}
		w.send()
		w.send()
		if n := w.received(); n != 1 {
			t.Fatalf("%d notices, want 1", n)
		}
		got := w.logoutToken(algorithm)
		want := map[string]any{
			"iss": issuer, "sub": id["sub"], "aud": openIDApp, "sid": id["sid"], "jti": got["jti"],
			"iat": float64(w.clock().Unix()), "exp": float64(w.clock().Add(2 * time.Minute).Unix()),
			"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
		}
		if diff := cmp.Diff(want, got); diff != "" || got["jti"] == "" {
			t.Errorf("%s (-want +got):\n%s", algorithm, diff)
		}
		raw := w.forms[0].Get("logout_token")
		if _, err := w.tokens.ReadHint(raw); err == nil {
			t.Error("a logout token is accepted as id_token_hint")
		}
		userinfo := w.get("/userinfo", header("Authorization", "Bearer "+raw))
		if userinfo.status != http.StatusUnauthorized {
			t.Errorf("a logout token as access token: %d", userinfo.status)
		}
	}
}

// A logout that ends only the session in this browser tells no client: the user has chosen to stay logged in there.
func TestLogoutOfBrowserOnly(t *testing.T) {
	t.Parallel()
	w := newTold(t, keyring.RS256)
	cookie := w.sessionCookie()
	tokens := w.logInToApp(cookie)
	w.serve(withCookie(pageForm("/logout", url.Values{}), cookie))
	w.send()
	if w.received() != 0 || !w.active(tokens) {
		t.Errorf("%d notices", w.received())
	}
	// A command ends that login, and the client is told.
	w.must(w.data.DisableUser(t.Context(), john, w.clock()))
	w.send()
	if n := w.received(); n != 1 {
		t.Errorf("%d notices, want 1", n)
	}
}

// A client that fails gets further attempts, each with a fresh token, and then none. The log says so.
func TestBackchannelLogoutIsRetried(t *testing.T) {
	t.Parallel()
	w := newTold(t, keyring.RS256)
	cookie := w.sessionCookie()
	w.logInToApp(cookie)
	w.responds(http.StatusServiceUnavailable)
	w.must(w.data.LogOut(t.Context(), john, "", w.clock()))
	jtis := map[any]bool{}
	for attempt, pause := range []time.Duration{0, 10 * time.Second, time.Minute, 5 * time.Minute, 20 * time.Minute} {
		if attempt > 0 {
			w.wait(pause - time.Second)
			w.send()
			w.wait(time.Second)
		}
		w.send()
		w.send()
		if n := w.received(); n != attempt+1 {
			t.Fatalf("attempt %d: %d requests", attempt+1, n)
		}
		jtis[w.logoutToken(keyring.RS256)["jti"]] = true
	}
	w.wait(24 * time.Hour)
	w.send()
	if n := w.received(); n != 5 || len(jtis) != 5 {
		t.Errorf("%d requests with %d ids, want 5", n, len(jtis))
	}
	log := w.log.String()
	for _, text := range []string{
		"event=backchannel_logout_failed again_in=10s client=" + openIDApp, "503 Service Unavailable",
	} {
		if !strings.Contains(log, text) {
			t.Errorf("the log does not have %q:\n%s", text, log)
		}
	}
	if n := strings.Count(log, "event=backchannel_logout_given_up"); n != 1 {
		t.Errorf("given up %d times, want once", n)
	}
}

// A client that works again gets what it missed.
func TestBackchannelLogoutAfterOutage(t *testing.T) {
	t.Parallel()
	w := newTold(t, keyring.RS256)
	w.logInToApp(w.sessionCookie())
	w.responds(http.StatusBadRequest)
	w.must(w.data.SetPassword(t.Context(), john, "hash", w.clock()))
	w.send()
	w.responds(http.StatusNoContent) // section 2.8 names 200; 204 is common
	w.wait(10 * time.Second)
	w.send()
	w.wait(24 * time.Hour)
	w.send()
	if n := w.received(); n != 2 || !strings.Contains(w.log.String(), "event=backchannel_logout client="+openIDApp) {
		t.Errorf("%d requests, want 2", n)
	}
}

// noClients is a store whose clients cannot be read. The server stops then.
type noClients struct {
	*store.Store

	stop context.CancelFunc
}

func (s noClients) ClientByID(context.Context, string) (client.Client, error) {
	s.stop()
	return client.Client{}, store.ErrUnavailable
}

// A notice that a server takes and does not send, because the database fails or the server stops, has not failed.
func TestBackchannelLogoutThatIsNotTried(t *testing.T) {
	t.Parallel()
	w := newTold(t, keyring.RS256)
	w.logInToApp(w.sessionCookie())
	w.must(w.data.LogOut(t.Context(), john, "", w.clock()))
	for range 5 {
		ctx, stop := context.WithCancel(t.Context())
		broken := backchannel.New(backchannel.Config{Store: noClients{w.data, stop}, Now: w.clock})
		if err := broken.Send(ctx); !errors.Is(err, store.ErrUnavailable) {
			t.Fatal(err)
		}
		w.wait(time.Minute)
	}
	w.send()
	if w.received() != 1 || !regexp.MustCompile(`event=backchannel_logout .*attempt=1\b`).MatchString(w.log.String()) {
		t.Errorf("%d requests:\n%s", w.received(), w.log)
	}
}

// Two servers send a notice once, and a server that stops leaves it to the other.
func TestBackchannelLogoutOfTwoServers(t *testing.T) {
	t.Parallel()
	w := newTold(t, keyring.RS256)
	const sessions = 12
	for range sessions {
		w.logInToApp(w.sessionCookie())
	}
	w.must(w.data.LogOut(t.Context(), john, "", w.clock()))
	taken, err := w.data.TakeLogoutNotices(t.Context(), w.clock(), w.clock().Add(time.Minute), 4, 16)
	w.must(err)
	if len(taken) != 4 {
		t.Fatalf("the server that stops has taken %d notices, want 4", len(taken))
	}
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			if err := w.sender(w.address).Send(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	w.send()
	if n := w.received(); n != sessions-len(taken) {
		t.Errorf("%d requests, want %d", n, sessions-len(taken))
	}
	w.wait(time.Minute)
	w.send()
	sids := map[any]bool{}
	for _, form := range w.forms {
		claims := jwt.MapClaims{}
		if _, _, err := jwt.NewParser().ParseUnverified(form.Get("logout_token"), claims); err != nil {
			t.Fatal(err)
		}
		sids[claims["sid"]] = true
	}
	if w.received() != sessions || len(sids) != sessions {
		t.Errorf("%d requests about %d sessions, want %d", w.received(), len(sids), sessions)
	}
}

// The limit on requests to a host, which many clients may share, is no failure of theirs: each notice is sent.
func TestBackchannelLogoutOfManyClients(t *testing.T) {
	t.Parallel()
	w := newTold(t, keyring.RS256)
	const clients = 40
	first, err := w.data.ClientByID(t.Context(), openIDApp)
	w.must(err)
	cookie := w.sessionCookie()
	for i := range clients {
		c := first
		c.ID = fmt.Sprint("app-", i)
		w.must(w.data.CreateClient(t.Context(), c))
		code := w.response(c.ID, w.serve(withCookie(openIDRequest("client_id", c.ID), cookie))).Get("code")
		w.expectOK(c.ID, w.post(url.Values{
			"grant_type": {"authorization_code"}, "client_id": {c.ID}, "code_verifier": {verifier}, "code": {code},
		}.Encode()))
	}
	w.must(w.data.LogOut(t.Context(), john, "", w.clock()))
	sender := w.sender(w.address)
	for range clients {
		w.must(sender.Send(t.Context()))
		w.wait(time.Second)
	}
	audiences := map[any]bool{}
	for _, form := range w.forms {
		claims := jwt.MapClaims{}
		_, _, err := jwt.NewParser().ParseUnverified(form.Get("logout_token"), claims)
		w.must(err)
		w.hide(form.Get("logout_token"))
		audiences[claims["aud"]] = true
	}
	if w.received() != clients || len(audiences) != clients {
		t.Errorf("%d notices to %d clients, want %d", w.received(), len(audiences), clients)
	}
	if strings.Contains(w.log.String(), "event=backchannel_logout_failed") {
		t.Errorf("the log has a failure:\n%s", w.log)
	}
}

// The guard refuses what is not public, and a client that is deleted, changed or without a key gets nothing.
func TestBackchannelLogoutIsNotSent(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*told)
		log    string // what it says; empty if nothing fails
	}{
		"a private address": {func(w *told) { w.address = netip.AddrPort{} }, "must begin with https://"},
		"deleted":           {func(w *told) { w.must(w.data.DeleteClient(w.t.Context(), openIDApp, w.clock())) }, ""},
		"changed": {func(w *told) {
			w.changeApp(func(c *client.Client) { c.BackchannelLogoutURI = "" })
		}, ""},
		"metadata service": {func(w *told) {
			w.changeApp(func(c *client.Client) { c.BackchannelLogoutURI = "https://169.254.169.254/" })
		}, "refused"},
		"no key": {func(w *told) { w.changeApp(func(c *client.Client) { c.IDTokenAlgorithm = "PS256" }) }, "no key for PS256"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTold(t, keyring.RS256)
			cookie := w.sessionCookie()
			w.logInToApp(cookie)
			w.serve(withCookie(pageForm("/logout", url.Values{"apps": {"end"}}), cookie))
			tt.change(w)
			w.send()
			if n := w.received(); n != 0 {
				t.Errorf("%d requests", n)
			}
			failed := strings.Contains(w.log.String(), "event=backchannel_logout_failed")
			if failed != (tt.log != "") || !strings.Contains(w.log.String(), tt.log) {
				t.Errorf("the log does not say %q:\n%s", tt.log, w.log)
			}
		})
	}
}

// changeApp changes openIDApp.
func (w *told) changeApp(change func(*client.Client)) {
	w.t.Helper()
	_, err := w.data.UpdateClient(w.t.Context(), openIDApp, w.clock(), func(c client.Client) (client.Client, error) {
		change(&c)
		return c, nil
	})
	w.must(err)
}

// What a client says in its response does not get into the log, and no response is too large.
func TestBackchannelLogoutResponse(t *testing.T) {
	t.Parallel()
	w := newTold(t, keyring.RS256)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(rw).Encode(map[string]string{"error": "a-text-of-the-client"})
	}))
	t.Cleanup(server.Close)
	w.hide("a-text-of-the-client")
	w.address = netip.MustParseAddrPort(server.Listener.Addr().String())
	w.changeApp(func(c *client.Client) { c.BackchannelLogoutURI = server.URL })
	w.logInToApp(w.sessionCookie())
	w.must(w.data.DeleteUser(t.Context(), john, w.clock()))
	w.send()
	if !strings.Contains(w.log.String(), "event=backchannel_logout_failed") {
		t.Errorf("the failure is not in the log:\n%s", w.log)
	}
}
