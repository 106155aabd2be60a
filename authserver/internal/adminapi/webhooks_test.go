package adminapi_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/adminapi"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
)

// received is a request to a webhook.
type received struct {
	header http.Header
	body   string
}

// A webhook that was added by the API gets a signed delivery of what happens next, as Standard Webhooks says.
func TestDeliveryIsReceived(t *testing.T) {
	got := make(chan received, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			got <- received{r.Header, string(body)}
		}
	}))
	defer receiver.Close()
	h := start(t, func(s *server.Settings) {
		s.InsecureFetchFrom = strings.TrimPrefix(receiver.URL, "http://")
		s.Now = time.Now // the sender and the receiver have clocks of their own
	})
	token := h.robotToken()
	var hook adminapi.AddWebhookOut
	added := h.call(http.MethodPost, "/webhooks", token, `{"url":"`+receiver.URL+`/hook","events":["user_*"]}`)
	added.expect(t, "add", http.StatusCreated, `"secret":"whsec_`)
	h.must(json.Unmarshal([]byte(added.body), &hook.Body))
	h.call(http.MethodGet, "/webhooks", token, "").expect(t, "list", http.StatusOK, `"events":["user_*"]`)
	if list := h.call(http.MethodGet, "/webhooks", token, ""); strings.Contains(list.body, "whsec_") {
		t.Error("the list has the secret")
	}
	h.call(http.MethodPost, "/users/carl/disable", token, "").expect(t, "disable", http.StatusNoContent, "")

	r := <-got
	for !strings.Contains(r.body, `"event":"user_disabled"`) { // what was not sealed before is delivered, too
		r = <-got
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(hook.Body.Secret, "whsec_"))
	h.must(err)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(r.header.Get("webhook-id") + "." + r.header.Get("webhook-timestamp") + "." + r.body))
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); r.header.Get("webhook-signature") != want {
		t.Errorf("signature %q, want %q", r.header.Get("webhook-signature"), want)
	}
	for {
		list := h.call(http.MethodGet, "/webhooks", token, "")
		if strings.Contains(list.body, `"waiting":0,"dead":0`) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	path := "/webhooks/" + hook.Body.ID
	h.call(http.MethodGet, path+"/dead", token, "").expect(t, "dead", http.StatusOK, `"items":[]`)
	h.call(http.MethodPost, path+"/retry", token, "").expect(t, "nothing to retry", http.StatusNotFound, "")
	h.call(http.MethodDelete, path, token, "").expect(t, "delete", http.StatusNoContent, "")
	h.call(http.MethodDelete, path, token, "").expect(t, "delete again", http.StatusNotFound, "webhook")
}

// The API adds no webhook inside, and none without TLS.
func TestWebhookInsideIsRefused(t *testing.T) {
	h := start(t)
	token := h.robotToken()
	for _, url := range []string{
		"http://hook.example/", "https://127.0.0.1/", "https://[::1]/", "https://10.0.0.1/", "https://169.254.169.254/", "x",
	} {
		h.call(http.MethodPost, "/webhooks", token, `{"url":"`+url+`"}`).
			expect(t, url, http.StatusUnprocessableEntity, "URL")
	}
	h.call(http.MethodPost, "/webhooks", token, `{"url":"https://hook.example/","events":["a b"]}`).
		expect(t, "a bad event", http.StatusUnprocessableEntity, "")
}

// The audit log is listed, filtered, shown and exported, and its head is that of the verification.
func TestAuditOverHTTP(t *testing.T) {
	h := start(t)
	token := h.robotToken()
	h.call(http.MethodPost, "/users/carl/disable", token, "").expect(t, "disable", http.StatusNoContent, "")
	h.call(http.MethodPost, "/users/carl/enable", token, "").expect(t, "enable", http.StatusNoContent, "")
	list := h.call(http.MethodGet, "/audit?subject=carl&event=user_*&actor="+robot, token, "")
	list.expect(t, "list", http.StatusOK, `"event":"user_enabled"`)
	var page struct {
		Items []struct{ ID, Event string }
		Next  string
	}
	h.must(json.Unmarshal([]byte(list.body), &page))
	if len(page.Items) != 2 {
		t.Fatalf("got %s", list.body)
	}
	h.call(http.MethodGet, "/audit/"+page.Items[0].ID, token, "").expect(t, "show", http.StatusOK, page.Items[0].Event)
	h.call(http.MethodGet, "/audit/nothing", token, "").expect(t, "show nothing", http.StatusNotFound, "")
	first := h.call(http.MethodGet, "/audit?subject=carl&actor="+robot+"&limit=1", token, "")
	if !strings.Contains(first.Header.Get("Link"), "after=") {
		t.Errorf("Link %q", first.Header.Get("Link"))
	}
	for format, kind := range map[string]string{
		"jsonl": "application/jsonl", "csv": "text/csv; charset=utf-8; header=present",
	} {
		export := h.call(http.MethodGet, "/audit/export?subject=carl&format="+format, token, "")
		export.expect(t, format, http.StatusOK, "user_disabled")
		if export.Header.Get("Content-Type") != kind || export.Header.Get("X-Next") != "" {
			t.Errorf("%s: %v", format, export.Header)
		}
	}
	h.call(http.MethodGet, "/audit/export?format=xml", token, "").
		expect(t, "xml", http.StatusUnprocessableEntity, "format")
	for { // until the server has sealed all records, and no other was sealed meanwhile
		before, err := h.data.AuditHead(t.Context())
		h.must(err)
		head := h.call(http.MethodGet, "/audit/head", token, "")
		head.expect(t, "head", http.StatusOK, `"hash":"`)
		after, err := h.data.AuditHead(t.Context())
		h.must(err)
		if before == after && strings.Contains(head.body, `"waiting":0`) {
			if !strings.Contains(head.body, after.Hash) {
				t.Errorf("head %s, stored %+v", head.body, after)
			}
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	for _, path := range []string{"/audit", "/audit/export", "/audit/head", "/audit/last-day", "/webhooks"} {
		h.call(http.MethodGet, path, "", "").expect(t, path, http.StatusUnauthorized, "Bearer")
	}
}
