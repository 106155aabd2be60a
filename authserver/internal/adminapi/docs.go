package adminapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gorilla/mux"
	"github.com/swaggest/swgui"
	"github.com/swaggest/swgui/v5emb"
)

// securityScheme is the name of the security scheme in the OpenAPI document.
const securityScheme = "oauth2"

const (
	docsPath    = Path + "/docs"
	openAPIPath = Path + "/openapi.json"
)

// newDescription returns an OpenAPI document without operations.
func newDescription(cfg Config) *huma.OpenAPI {
	return &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title:   "Hallpass admin API",
			Version: cfg.Version,
			License: &huma.License{Name: "MIT", Identifier: "MIT"},
		},
		Servers: []*huma.Server{{URL: "/", Description: "This server"}},
		Components: &huma.Components{
			Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
			SecuritySchemes: map[string]*huma.SecurityScheme{securityScheme: {
				Type: "oauth2",
				Description: "A token of an administrator, or of a service that 'client set --admin' has allowed, for the " +
					"resource " + cfg.Issuer + Path + ". A user's login must have a second factor, and be at most 15 minutes old.",
				Flows: &huma.OAuthFlows{
					AuthorizationCode: &huma.OAuthFlow{
						AuthorizationURL: cfg.Issuer + "/authorize", TokenURL: cfg.Issuer + "/token",
						Scopes: map[string]string{AdminScope: "Administer this server"},
					},
					ClientCredentials: &huma.OAuthFlow{
						TokenURL: cfg.Issuer + "/token",
						Scopes:   map[string]string{AdminScope: "Administer this server"},
					},
				},
			}},
		},
	}
}

// OpenAPI returns the OpenAPI document in JSON.
func (a *API) OpenAPI() ([]byte, error) {
	body, err := json.MarshalIndent(a.openAPI, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("OpenAPI document: %w", err)
	}
	return append(body, '\n'), nil
}

// assets are the files of Swagger UI that its page refers to.
var assets = []string{
	"swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js", "favicon-16x16.png", "favicon-32x32.png",
}

// addDocs serves the OpenAPI document and Swagger UI, which shows the operations. It sends no requests: administrators
// work in the console, and no page of this origin should ask for their tokens.
func (a *API) addDocs(router *mux.Router) error {
	body, err := a.OpenAPI()
	if err != nil {
		return err
	}
	ui := v5emb.NewHandlerWithConfig(swgui.Config{
		Title:       a.openAPI.Info.Title,
		SwaggerJSON: openAPIPath,
		BasePath:    docsPath,
		SettingsUI: map[string]string{
			"persistAuthorization":   "false",
			"queryConfigEnabled":     "false", // a link must not load another document
			"supportedSubmitMethods": "[]",
		},
	})
	page := renderPage(ui)
	addPage(router, docsPath, document("text/html; charset=utf-8", page, map[string]string{
		"Content-Security-Policy": contentSecurityPolicy(page),
		"Referrer-Policy":         "no-referrer",
	}))
	for _, name := range assets {
		addPage(router, docsPath+"/"+name, ui)
	}
	addPage(router, openAPIPath, document(jsonType, body, nil))
	return nil
}

// document returns a handler that responds with the body and headers.
func document(contentType string, body []byte, headers map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		for name, value := range headers {
			h.Set(name, value)
		}
		h.Set("Content-Type", contentType)
		h.Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body) // an error means that the client has disconnected
	}
}

// renderPage returns the HTML of Swagger UI. It is rendered once, because the policy has hashes of its scripts.
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

// contentSecurityPolicy returns a policy that allows only what the page needs: files of this server, and the page's
// inline script and style by their hashes (CSP Level 3).
func contentSecurityPolicy(page []byte) string {
	return strings.Join([]string{
		"default-src 'none'",
		"script-src 'self'" + hashes(inlineScript, page),
		"style-src 'self'" + hashes(inlineStyle, page),
		"img-src 'self' data:", // the style sheet contains icons
		"connect-src 'self'",
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
