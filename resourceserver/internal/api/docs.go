package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/swaggest/swgui"
	"github.com/swaggest/swgui/v5emb"
)

const (
	docsPath    = "/docs"
	openAPIPath = "/openapi.json"
)

// assets are the files of Swagger UI that its page refers to.
var assets = []string{
	"swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js", "favicon-16x16.png", "favicon-32x32.png",
}

// addDocs serves the OpenAPI document and Swagger UI, whose Authorize button logs
// in at the issuer. Everything the page needs comes from this server.
func addDocs(rt *router, description *huma.OpenAPI, issuer string) error {
	body, err := json.Marshal(description)
	if err != nil {
		return fmt.Errorf("OpenAPI document: %w", err)
	}
	origin, err := url.Parse(issuer)
	if err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	ui := v5emb.NewHandlerWithConfig(swgui.Config{
		Title:       description.Info.Title,
		SwaggerJSON: openAPIPath,
		BasePath:    docsPath,
		SettingsUI: map[string]string{
			"persistAuthorization": "false", // a token must not outlive the page
			"queryConfigEnabled":   "false", // nor may a link point the page at another document
		},
	})
	page := renderPage(ui)
	rt.page(docsPath, document("text/html; charset=utf-8", page, map[string]string{
		"Content-Security-Policy": contentSecurityPolicy(page, origin.Scheme+"://"+origin.Host),
		"Referrer-Policy":         "no-referrer",
	}))
	for _, name := range assets {
		rt.page(docsPath+"/"+name, ui.ServeHTTP)
	}
	rt.page(openAPIPath, document(jsonType, body, nil))
	rt.page("/redoc", http.RedirectHandler(docsPath, http.StatusFound).ServeHTTP)
	return nil
}

// renderPage returns the HTML of Swagger UI. It is the same for every request, and
// the policy must know its bytes.
func renderPage(ui http.Handler) []byte {
	w := pageWriter{header: http.Header{}}
	ui.ServeHTTP(&w, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: docsPath}})
	return w.Bytes()
}

// pageWriter is a ResponseWriter that keeps the body.
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

// contentSecurityPolicy allows the page what it has and no more: files and calls of
// this server, calls of the issuer, and by their hashes the script and style that
// stand in the page itself (CSP Level 3).
func contentSecurityPolicy(page []byte, issuerOrigin string) string {
	return strings.Join([]string{
		"default-src 'none'",
		"script-src 'self'" + hashes(inlineScript, page),
		"style-src 'self'" + hashes(inlineStyle, page),
		"img-src 'self' data:", // the style sheet has its icons in it
		"connect-src 'self' " + issuerOrigin,
		"base-uri 'none'",
		"form-action 'none'",
		"frame-ancestors 'none'",
	}, "; ")
}

// hashes returns the source expressions of what inline finds in the page, each
// after a space.
func hashes(inline *regexp.Regexp, page []byte) string {
	var b strings.Builder
	for _, found := range inline.FindAllSubmatch(page, -1) {
		sum := sha256.Sum256(found[1])
		b.WriteString(" 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'")
	}
	return b.String()
}
