package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/statuslist"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/revocation"
)

// StatusLists publishes which grants are revoked; *revocation.Provider does.
type StatusLists interface {
	// Form returns the signed form of a list, or revocation.ErrNotFound.
	Form(ctx context.Context, l grant.List) (revocation.Form, error)
	// URIs returns where the lists for an API are, or revocation.ErrNotFound; no audience means
	// the API of the settings.
	URIs(ctx context.Context, audience string) ([]string, error)
}

// statusList is GET of the URI of a list. It is asked several times a second by every
// API, which is why it does not fill the log.
func (e *endpoints) statusList(w http.ResponseWriter, r *http.Request) {
	httpserver.SetRoutine(w)
	form, err := revocation.Form{}, revocation.ErrNotFound
	if l, ok := grant.ParseList("", r.URL.EscapedPath()); ok {
		form, err = e.cfg.StatusLists.Form(r.Context(), l)
	}
	if err != nil {
		e.failed(r, "status_list", err).writeProblem(w)
		return
	}
	e.answers.WithLabelValues("status_list", "ok").Inc()
	h := w.Header()
	h.Set("Content-Type", statuslist.MediaType)
	h.Set("ETag", form.ETag)
	// Several caches in between, each with a second of its own, would hold up a revocation.
	h.Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(form.Text)) // answers If-None-Match
}

// statusLists says which lists there are for an API (Token Status List, section "Status
// List Aggregation"): that of the settings, or the one named as resource (RFC 8707).
func (e *endpoints) statusLists(w http.ResponseWriter, r *http.Request) (map[string]any, error) {
	uris, err := e.cfg.StatusLists.URIs(r.Context(), r.URL.Query().Get("resource"))
	if errors.Is(err, revocation.ErrNotFound) {
		return nil, issuing.ErrTarget // RFC 8707 §2
	}
	if err == nil {
		w.Header().Set("Cache-Control", publicly)
	}
	return map[string]any{"status_lists": uris}, err
}
