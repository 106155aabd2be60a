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
	"github.com/gorilla/mux"
	"github.com/swaggest/swgui"
	"github.com/swaggest/swgui/v5emb"
)

const (
	docsPath    = "/docs"
	openAPIPath = "/openapi.json"
)

// assets are the files of Swagger UI that its page refers to.
var assets = []string{
	"swagger-ui.css",
	"swagger-ui-bundle.js",
	"swagger-ui-standalone-preset.js",
	"favicon-16x16.png",
	"favicon-32x32.png",
}

// addDocs serves the OpenAPI document and Swagger UI, whose Authorize button logs in at the issuer. All
// files of the page come from this server.
func addDocs(router *mux.Router, description *huma.OpenAPI, issuer string) error {
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
			"persistAuthorization": "false", // the browser must not store tokens
			"queryConfigEnabled":   "false", // a link must not load another document
		},
	})
	page := renderPage(ui)
	addPage(router, docsPath, document("text/html; charset=utf-8", page, map[string]string{
		"Content-Security-Policy": contentSecurityPolicy(page, origin.Scheme+"://"+origin.Host),
		"Referrer-Policy":         "no-referrer",
	}))
	for _, name := range assets {
		addPage(router, docsPath+"/"+name, ui)
	}
	addPage(router, openAPIPath, document(jsonType, body, nil))
	addPage(router, "/redoc", http.RedirectHandler(docsPath, http.StatusFound))
	return nil
}

// renderPage returns the HTML of Swagger UI. It is rendered once, because the policy has hashes of its
// scripts.
func renderPage(ui http.Handler) []byte {
	w := pageWriter{header: http.Header{}}
	ui.ServeHTTP(&w, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: docsPath}})
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

// contentSecurityPolicy returns a policy that allows only what the page needs: files and calls of this
// server, calls of the issuer, and the page's inline script and style by their hashes (CSP Level 3).
func contentSecurityPolicy(page []byte, issuerOrigin string) string {
	return strings.Join([]string{
		"default-src 'none'",
		"script-src 'self'" + hashes(inlineScript, page),
		"style-src 'self'" + hashes(inlineStyle, page),
		"img-src 'self' data:", // the style sheet contains icons
		"connect-src 'self' " + issuerOrigin,
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
