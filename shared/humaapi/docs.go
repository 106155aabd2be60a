package humaapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/gorilla/mux"
	"github.com/swaggest/swgui"
	"github.com/swaggest/swgui/v5emb"
)

// Docs is a page with Swagger UI, which shows the operations of an API. All its files come from this server.
type Docs struct {
	// Title is the title of the page.
	Title string
	// Path is the path of the page, and DocumentPath that of the OpenAPI document.
	Path, DocumentPath string
	// Document is the OpenAPI document, in JSON.
	Document []byte
	// Origin is where the page sends requests, besides its own origin: that of the server where its Authorize button
	// logs in. Empty means that the page sends no requests.
	Origin string
}

// assets are the files of Swagger UI that its page refers to.
var assets = []string{
	"swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js", "favicon-16x16.png", "favicon-32x32.png",
}

// Serve adds the page, its files and the OpenAPI document to the router.
func (d Docs) Serve(router *mux.Router) {
	settings := map[string]string{
		"persistAuthorization": "false", // the browser must not store tokens
		"queryConfigEnabled":   "false", // a link must not load another document
	}
	if d.Origin == "" {
		settings["supportedSubmitMethods"] = "[]"
	}
	ui := v5emb.NewHandlerWithConfig(swgui.Config{
		Title: d.Title, SwaggerJSON: d.DocumentPath, BasePath: d.Path, SettingsUI: settings,
	})
	page := renderPage(ui, d.Path)
	AddPage(router, d.Path, document("text/html; charset=utf-8", page, map[string]string{
		"Content-Security-Policy": contentSecurityPolicy(page, d.Origin),
		"Referrer-Policy":         "no-referrer",
	}))
	for _, name := range assets {
		AddPage(router, d.Path+"/"+name, ui)
	}
	AddPage(router, d.DocumentPath, document("application/json", d.Document, nil))
}

// document returns a handler that responds with the body and headers.
func document(contentType string, body []byte, headers map[string]string) http.HandlerFunc {
	length := strconv.Itoa(len(body))
	return func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		for name, value := range headers {
			h.Set(name, value)
		}
		h.Set("Content-Type", contentType)
		h.Set("Content-Length", length)
		_, _ = w.Write(body) // an error means that the client has disconnected
	}
}

// renderPage returns the HTML of Swagger UI. It is rendered once, because the policy has hashes of its scripts.
func renderPage(ui http.Handler, path string) []byte {
	w := pageWriter{header: http.Header{}}
	ui.ServeHTTP(&w, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: path}})
	return w.Bytes()
}

// pageWriter is a ResponseWriter that stores the body.
type pageWriter struct {
	bytes.Buffer
	header http.Header
}

func (w *pageWriter) Header() http.Header { return w.header }
func (w *pageWriter) WriteHeader(int)     {}

var (
	inlineScript = regexp.MustCompile(`(?s)<script>(.*?)</script>`)
	inlineStyle  = regexp.MustCompile(`(?s)<style>(.*?)</style>`)
)

// contentSecurityPolicy returns a policy that allows only what the page needs: files and calls of this server, calls of
// the origin, and the page's inline script and style by their hashes (CSP Level 3).
func contentSecurityPolicy(page []byte, origin string) string {
	return strings.Join([]string{
		"default-src 'none'",
		"script-src 'self'" + hashes(inlineScript, page),
		"style-src 'self'" + hashes(inlineStyle, page),
		"img-src 'self' data:", // the style sheet contains icons
		strings.TrimSpace("connect-src 'self' " + origin),
		"base-uri 'none'",
		"form-action 'none'",
		"frame-ancestors 'none'",
	}, "; ")
}

// hashes returns the source expressions of the inline elements in the page, each after a space.
func hashes(inline *regexp.Regexp, page []byte) string {
	var b strings.Builder
	for _, found := range inline.FindAllSubmatch(page, -1) {
		sum := sha256.Sum256(found[1])
		b.WriteString(" 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'")
	}
	return b.String()
}
