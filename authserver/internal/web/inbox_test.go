package web_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// The inbox shows links as links, and nothing of a mail as HTML.
func TestInboxPage(t *testing.T) {
	t.Parallel()
	m := mail.Message{To: "<b>@example.com", Subject: "<script>", Text: "Go to http://a.example/?a=1&b=2\nor javascript:x\n"}
	show := func(inbox func(context.Context) ([]mail.Kept, error)) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		web.InboxPage(inbox).ServeHTTP(w, httptest.NewRequest(http.MethodGet, web.InboxPath, nil))
		return w
	}
	w := show(func(context.Context) ([]mail.Kept, error) { return []mail.Kept{{Message: m}}, nil })
	text := w.Body.String()
	for _, want := range []string{
		"&lt;script&gt;", "&lt;b&gt;@example.com", `<a href="http://a.example/?a=1&amp;b=2">`, "or javascript:x",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if strings.Count(text, "<a ") != 1 || strings.Contains(text, "<script>") ||
		w.Header().Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("%v\n%s", w.Header(), text)
	}
	w = show(func(context.Context) ([]mail.Kept, error) { return nil, nil })
	if !strings.Contains(w.Body.String(), "There are none yet.") {
		t.Error(w.Body.String())
	}
	w = show(func(context.Context) ([]mail.Kept, error) { return nil, errors.New("secret reason") })
	if w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
