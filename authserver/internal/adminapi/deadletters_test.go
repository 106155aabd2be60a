package adminapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/adminapi"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
)

// hookState is a webhook and its dead deliveries, as the API shows them.
type hookState struct {
	adminapi.Webhook
	dead []adminapi.DeadDelivery
}

// hookUntil lists the only webhook until it is as a test wants it, and lets half a day pass if later is set, so that
// the next attempt is due.
func (h *host) hookUntil(later bool, done func(hookState) bool) hookState {
	h.t.Helper()
	for ; ; time.Sleep(20 * time.Millisecond) {
		token := h.robotToken()
		var hooks struct{ Items []adminapi.Webhook }
		h.must(json.Unmarshal([]byte(h.call(http.MethodGet, "/webhooks", token, "").body), &hooks))
		var dead struct{ Items []adminapi.DeadDelivery }
		path := "/webhooks/" + hooks.Items[0].ID + "/dead"
		h.must(json.Unmarshal([]byte(h.call(http.MethodGet, path, token, "").body), &dead))
		if state := (hookState{hooks.Items[0], dead.Items}); done(state) {
			return state
		}
		if later {
			h.wait(12 * time.Hour)
		}
	}
}

// A delivery is dead after its last attempt. The API and the console list it with the reason, and make it again.
func TestDeadDeliveries(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	got := make(chan received, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() {
			http.Error(w, "<script>alert(1)</script>", http.StatusTeapot)
			return
		}
		got <- received{header: r.Header}
	}))
	defer receiver.Close()
	h := start(t, func(s *server.Settings) { s.InsecureFetchFrom = strings.TrimPrefix(receiver.URL, "http://") })
	h.call(http.MethodPost, "/webhooks", h.robotToken(), `{"url":"`+receiver.URL+`/hook","events":["user_*abled"]}`).
		expect(t, "add", http.StatusCreated, "whsec_")
	for _, path := range []string{"/users/carl/disable", "/users/carl/enable", "/users/carl/disable"} {
		h.call(http.MethodPost, path, h.robotToken(), "").expect(t, path, http.StatusNoContent, "")
	}
	state := h.hookUntil(true, func(s hookState) bool { return s.Dead == 3 })
	if len(state.dead) != 3 || state.Waiting != 0 || !strings.Contains(state.dead[0].Reason, "418") ||
		strings.Contains(state.dead[0].Reason, "script") || state.dead[0].Record < state.dead[1].Record {
		t.Fatalf("the dead deliveries are %+v", state)
	}

	console := h.browse(ada, twoFactors...)
	page, _ := console.open("/admin/webhook?id="+state.ID, nil)
	for _, d := range state.dead {
		page.expect(t, "the console", http.StatusOK, "/admin/audit/record?id="+d.Record)
		page.expect(t, "the console", http.StatusOK, "record="+d.Record)
	}
	page.expect(t, "the reason", http.StatusOK, "it responded 418")
	page, _ = console.open("/admin/webhooks", nil)
	page.expect(t, "the list", http.StatusOK, "not delivered")

	broken.Store(false)
	newest := state.dead[0].Record
	h.call(http.MethodPost, "/webhooks/"+state.ID+"/retry?record="+newest, h.robotToken(), "").
		expect(t, "one", http.StatusNoContent, "")
	if id := (<-got).header.Get("Webhook-Id"); id != newest {
		t.Errorf("made again: %s, want %s", id, newest)
	}
	h.hookUntil(false, func(s hookState) bool { return s.Waiting == 0 && len(s.dead) == 2 })

	console = h.browse(ada, twoFactors...)
	retry := "/admin/webhook/retry?id=" + state.ID
	page, _ = console.open(retry, nil)
	page.expect(t, "the question", http.StatusOK, "all its dead deliveries, 2 of them,")
	if _, to := console.open(retry, url.Values{"user": {console.userID}}); !strings.Contains(to, "done=retried") {
		t.Errorf("after the form: %q", to)
	}
	again := map[string]bool{}
	for range 2 {
		again[(<-got).header.Get("Webhook-Id")] = true
	}
	if !again[state.dead[1].Record] || !again[state.dead[2].Record] {
		t.Errorf("made again: %v", again)
	}
	h.hookUntil(false, func(s hookState) bool { return s.Waiting == 0 && s.Dead == 0 })
	log := h.call(http.MethodGet, "/audit?event=webhook_retried", h.robotToken(), "")
	log.expect(t, "the audit log", http.StatusOK, `"deliveries":"2"`)
	log.expect(t, "the audit log", http.StatusOK, `"record":"`+newest+`"`)
}
