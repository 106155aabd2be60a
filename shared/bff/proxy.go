package bff

import (
	"context"
	"errors"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/problem"
)

// methods are the methods that are passed on to the API.
var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	http.MethodOptions,
}

// droppedRequestHeaders are not passed on to the API: they are between the browser and this program, or show
// that a browser sent the request. ReverseProxy itself drops hop-by-hop headers and Forwarded.
var droppedRequestHeaders = []string{
	"Authorization", "Cookie", csrfHeader, "Origin", "Referer", "Dpop",
	"Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest", "Sec-Fetch-User",
	"X-Forwarded-Port", "X-Forwarded-Prefix", "X-Real-Ip",
}

// droppedResponseHeaders are not passed on to the browser: the API must not set cookies for the page's origin,
// or change its policies.
var droppedResponseHeaders = []string{
	"Set-Cookie", "Clear-Site-Data", "Strict-Transport-Security", "Service-Worker-Allowed",
	"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Allow-Headers",
	"Access-Control-Allow-Methods", "Access-Control-Expose-Headers", "Access-Control-Max-Age",
	"Nel", "Report-To", "Reporting-Endpoints", "Alt-Svc",
}

type callKey struct{}

// call is the state of a request to the API, in its context.
type call struct {
	accessToken string
	refreshed   bool // the response has new cookies
}

// callAPI serves /api/: it sends the request to the API with the access token of the session.
func (h *Handler) callAPI(w http.ResponseWriter, r *http.Request) {
	if !slices.Contains(methods, r.Method) {
		w.Header().Set("Allow", strings.Join(methods, ", "))
		problem.Write(w, http.StatusMethodNotAllowed, "The API takes no such method")
		return
	}
	if r.ContentLength > h.cfg.MaxBody {
		refuseBody(w)
		return
	}
	s, refreshed, err := h.current(w, r)
	if err != nil {
		refuse(w, err)
		return
	}
	r = r.WithContext(context.WithValue(r.Context(), callKey{}, call{s.AccessToken, refreshed}))
	r.Header = r.Header.Clone()
	r.Header.Del("Upgrade") // a page cannot send csrfHeader with a WebSocket handshake
	r.Body = http.MaxBytesReader(w, r.Body, h.cfg.MaxBody)
	w.Header().Del("Cache-Control") // modifyResponse sets it
	h.proxy.ServeHTTP(w, r)
}

func refuseBody(w http.ResponseWriter) {
	problem.Write(w, http.StatusRequestEntityTooLarge, "The body of the request is too large")
}

func (h *Handler) newProxy() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport:      finalOnly{h.cfg.Transport},
		Rewrite:        h.rewrite,
		ModifyResponse: h.modifyResponse,
		ErrorHandler:   h.apiFailed,
		ErrorLog:       log.New(logWriter{h}, "", 0),
	}
}

// finalOnly hides 1xx responses from ReverseProxy, which asks for them with a trace in the request's context. It
// would send our headers, such as new cookies, only with the first 1xx response.
type finalOnly struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t finalOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.RoundTripper.RoundTrip(r.WithContext(withoutValues{r.Context()}))
	if resp != nil {
		resp.Request = r // modifyResponse reads its context
	}
	return resp, err
}

// withoutValues is a context that ends when another one does, but has none of its values.
type withoutValues struct{ context.Context } //nolint:containedctx // it is a context

// Value implements context.Context.
func (withoutValues) Value(any) any { return nil }

// rewrite turns a request from the page into one to the API.
func (h *Handler) rewrite(p *httputil.ProxyRequest) {
	p.Out.URL.Path = strings.TrimPrefix(p.In.URL.Path, apiPath)
	p.Out.URL.RawPath = strings.TrimPrefix(p.In.URL.RawPath, apiPath)
	p.SetURL(h.api)
	for name := range p.Out.Header {
		// Gateway interfaces such as WSGI read X_Name as X-Name.
		if strings.Contains(name, "_") {
			delete(p.Out.Header, name)
		}
	}
	for _, name := range droppedRequestHeaders {
		p.Out.Header.Del(name)
	}
	p.SetXForwarded()
	scheme, host, _ := strings.Cut(h.cfg.URL, "://")
	p.Out.Header.Set("X-Forwarded-Proto", scheme)
	p.Out.Header.Set("X-Forwarded-Host", host)
	c, _ := p.In.Context().Value(callKey{}).(call)
	p.Out.Header.Set("Authorization", "Bearer "+c.accessToken)
}

// modifyResponse turns a response from the API into one to the page.
func (h *Handler) modifyResponse(resp *http.Response) error {
	for _, name := range droppedResponseHeaders {
		resp.Header.Del(name)
	}
	resp.Header.Del("X-Content-Type-Options") // it is set already
	resp.Header.Del("Referrer-Policy")
	// By default, caches do not store responses to requests with Authorization (RFC 9111 section 3.5), but they
	// cannot see that this request had it.
	if c, _ := resp.Request.Context().Value(callKey{}).(call); c.refreshed {
		resp.Header.Set("Cache-Control", "no-store")
	} else if resp.Header.Get("Cache-Control") == "" {
		resp.Header.Set("Cache-Control", "private, no-cache")
	}
	resp.Header.Add("Vary", "Cookie")
	if location := resp.Header.Get("Location"); location != "" {
		resp.Header.Set("Location", h.pageURL(resp.Request.URL, location))
	}
	return nil
}

// pageURL translates the API's Location header to a URL that the page can use.
func (h *Handler) pageURL(base *url.URL, location string) string {
	u, err := base.Parse(location)
	if err != nil || u.Scheme != h.api.Scheme || u.Host != h.api.Host {
		return location
	}
	rest, below := strings.CutPrefix(u.EscapedPath(), h.api.EscapedPath())
	if !below || !strings.HasPrefix(rest, "/") {
		return location
	}
	local := apiPath + rest
	if u.RawQuery != "" {
		local += "?" + u.RawQuery
	}
	if u.Fragment != "" {
		local += "#" + u.EscapedFragment()
	}
	return local
}

// apiFailed responds to a request if the API did not respond.
func (h *Handler) apiFailed(w http.ResponseWriter, r *http.Request, err error) {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		refuseBody(w)
		return
	}
	if r.Context().Err() == nil {
		h.cfg.Log.WarnContext(r.Context(), "API not reached", "error", err)
	}
	w.Header().Set("Cache-Control", "no-store")
	problem.Write(w, http.StatusBadGateway, "The API cannot be reached right now")
}

// logWriter passes ReverseProxy's log on to a logger.
type logWriter struct{ h *Handler }

// Write implements io.Writer.
func (l logWriter) Write(line []byte) (int, error) {
	l.h.cfg.Log.Warn("response of the API cut", "error", strings.TrimSpace(string(line)))
	return len(line), nil
}
