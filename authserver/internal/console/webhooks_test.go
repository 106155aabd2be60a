package console_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
)

// A webhook is added once, its secret is shown once, and it is deleted after a question.
func TestWebhooks(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.logIn("ada")
	seen := b.get("/admin/webhooks").field("seen")
	add := func(url, events string) shown {
		return b.post("/admin/webhooks", "seen", seen, "url", url, "events", events)
	}
	for _, inside := range []string{"https://127.0.0.1/hook", "https://10.0.0.1/hook", "http://hooks.example",
		"no url", ""} {
		add(inside, "").refused(t, http.StatusUnprocessableEntity, "URL")
	}
	add("https://hooks.example/x", "[").refused(t, http.StatusUnprocessableEntity, "event")
	got := add("https://hooks.example/<script>", "user_*\r\nlogin_failed")
	secret := regexp.MustCompile(`whsec_(?:[A-Za-z0-9/=+]|&#43;)+`)
	if got.status != http.StatusOK || !secret.MatchString(got.body) || strings.Contains(got.body, "<script") {
		t.Fatalf("%d\n%s", got.status, got.body)
	}
	add("https://hooks.example/<script>", "user_*").refused(t, http.StatusPreconditionFailed,
		"list of webhooks was changed")
	list := b.get("/admin/webhooks")
	id := regexp.MustCompile(`/admin/webhook\?id=(wh_[0-9a-f]+)`).FindAllStringSubmatch(list.body, -1)
	if len(id) != 1 || secret.MatchString(list.body) || strings.Contains(list.body, "<script") {
		t.Fatalf("%v\n%s", id, list.body)
	}
	about := "?id=" + id[0][1]
	got = b.get("/admin/webhook" + about)
	if !got.has("user_*, login_failed") || !got.has("There are no dead deliveries.") {
		t.Errorf("%s", got.body)
	}
	b.post("/admin/webhook/retry"+about).refused(t, http.StatusNotFound, "no longer exists")
	waiting := regexp.MustCompile(`deliveries: \d+ waiting, 0 dead`) // of what was recorded just before
	if got := b.get("/admin/webhook/delete" + about); !waiting.MatchString(got.body) {
		t.Errorf("%s", got.body)
	}
	b.post("/admin/webhook/delete"+about).went(t, "/admin/webhooks?done=deleted")
	for _, path := range []string{"/admin/webhook", "/admin/webhook/retry", "/admin/webhook/delete"} {
		if got := b.get(path + about); got.status != http.StatusNotFound {
			t.Errorf("%s after the deletion: %d", path, got.status)
		}
	}
	records, err := s.data.AuditRecords(t.Context(), audit.Filter{Event: "webhook_*"}, audit.Page{Limit: 10})
	if err != nil || len(records) != 2 || records[0].Actor.ID != s.user("ada").ID {
		t.Errorf("recorded as %+v, %v", records, err)
	}
}
