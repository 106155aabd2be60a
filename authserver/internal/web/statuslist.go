package web

import (
	"cmp"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/statuslist"

	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/revocation"
)

// statusList serves a Status List Token. Every API asks for it several times a second, so
// successful requests are not logged.
func (e *endpoints) statusList(w http.ResponseWriter, r *http.Request) {
	httpserver.SetRoutine(w)
	list, err := revocation.SignedList{}, revocation.ErrNotFound
	if l, ok := e.cfg.Lists.Parse(e.cfg.Lists.Issuer + r.URL.EscapedPath()); ok {
		list, err = e.cfg.Revocations.List(r.Context(), l)
	}
	if err != nil {
		e.failed(r, "status_list", err).writeProblem(w)
		return
	}
	e.answers.WithLabelValues("status_list", "ok").Inc()
	h := w.Header()
	h.Set("Content-Type", statuslist.MediaType)
	h.Set("ETag", list.ETag)
	// With max-age, each cache on the way could delay a revocation by as long.
	h.Set("Cache-Control", "no-cache")
	h.Add("Vary", "Accept-Encoding")
	content := list.Token
	if acceptsGzip(r.Header) {
		h.Set("Content-Encoding", "gzip")
		content = list.Gzip
	}
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content)) // handles If-None-Match
}

// acceptsGzip reports whether the header Accept-Encoding names gzip, and not with the weight 0 (RFC 9110 section
// 12.5.3).
func acceptsGzip(h http.Header) bool {
	for coding := range strings.SplitSeq(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		name, weight, _ := strings.Cut(coding, ";")
		_, q, _ := strings.Cut(strings.ToLower(weight), "q=")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			number, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
			return q == "" || err == nil && number > 0
		}
	}
	return false
}

// statusLists serves the status list aggregation (Token Status List, section 9) for the API
// that the query names as resource (RFC 8707), by default the default API.
func (e *endpoints) statusLists(w http.ResponseWriter, r *http.Request) (any, error) {
	audience := cmp.Or(r.URL.Query().Get("resource"), e.cfg.Lists.Default)
	if whyUnusable(audience) != "" {
		return nil, issuing.ErrTarget
	}
	uris, err := e.cfg.Revocations.URIs(r.Context(), audience)
	if errors.Is(err, revocation.ErrNotFound) { // it may name a registered API in other letters
		if api, apiErr := e.cfg.Tokens.API(r.Context(), audience); apiErr == nil {
			uris, err = e.cfg.Revocations.URIs(r.Context(), api.Audience)
		}
	}
	if errors.Is(err, revocation.ErrNotFound) {
		return nil, issuing.ErrTarget // RFC 8707 section 2
	}
	if err == nil {
		w.Header().Set("Cache-Control", publicly)
	}
	return oauth.StatusLists{URIs: uris}, err
}
