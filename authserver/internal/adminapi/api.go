// Package adminapi is the API by which administrators manage users, clients, APIs and keys: /admin/api/v1.
//
// operations.go has one line for each operation. An operation is a method of [API]: it takes a context and typed input,
// and returns typed output or an error. Over HTTP, the gate lets only administrators call it, and puts the actor into
// the context. The console calls the same methods in process, with a context of audit.WithActor. Methods do not rely on
// validated input: package admin checks it.
package adminapi

import (
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"
	"github.com/gorilla/mux"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/dpop"
	"github.com/hallpass-auth/hallpass/shared/humaapi"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/webhook"
)

// Path is the path of the API.
const Path = issuing.AdminPath

// Config configures the API. All fields but Networks, WithoutSecondFactor and Version are required.
type Config struct {
	// Issuer is the server's public URL, without a path.
	Issuer string
	// Version is the version of the server, for the OpenAPI document.
	Version string
	// Admin does the work.
	Admin *admin.Service
	// Webhooks manages the webhooks.
	Webhooks *webhook.Service
	// Tokens knows which tokens are active.
	Tokens *issuing.Service
	// Verifier accepts access tokens whose audience is Issuer and Path.
	Verifier *token.Verifier
	// Proofs verifies DPoP proofs, at the URL of the issuer.
	Proofs *dpop.Verifier
	// Networks are those that administrators may come from; none means all.
	Networks []netip.Prefix
	// WithoutSecondFactor admits administrators who have logged in with one factor.
	WithoutSecondFactor bool
	// Now is the clock.
	Now func() time.Time
	// Log gets unexpected errors.
	Log *slog.Logger
}

// API is the admin API. It is safe for concurrent use.
type API struct {
	cfg     Config
	gate    *gate
	handler http.Handler
	openAPI *huma.OpenAPI
}

// New returns the API.
func New(cfg Config) (*API, error) {
	a := &API{cfg: cfg}
	guard := bearer.New(cfg.Verifier, cfg.Log)
	guard.AcceptDPoP(cfg.Proofs)
	a.gate = &gate{cfg: cfg, guard: guard}

	router := humaapi.NewRouter().UseEncodedPath()
	format := huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: unmarshalJSON}
	registry := humamux.New(router, huma.Config{
		OpenAPI:      newDescription(cfg),
		Formats:      map[string]huma.Format{jsonType: format, "json": format},
		Transformers: []huma.Transformer{humaapi.LogFailures(cfg.Log.With("endpoint", "admin_api"))},
	}, humamux.WithRouteCustomizer(func(op *huma.Operation, r *mux.Route) {
		r.Handler(humaapi.Named(op.Path, noStore(a.gate.middleware(textQuery(oneIfMatch(unescapeVars(r.GetHandler())))))))
	}))
	for _, o := range a.operations() {
		o.add(registry, o.describe())
	}
	a.openAPI = registry.OpenAPI()
	if err := a.addDocs(router); err != nil {
		return nil, err
	}
	guard.ServeMetadata(func(path string, h http.Handler) { humaapi.AddPage(router, path, h) }, adminScope)
	a.handler = a.gate.networks(humaapi.HeadAsGet(router))
	return a, nil
}

// ServeHTTP serves requests whose path is Path or below, or MetadataPath.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.handler.ServeHTTP(w, r) }

// MetadataPath is the path of the document that describes the API as a protected resource (RFC 9728 section 3.1).
const MetadataPath = "/.well-known/oauth-protected-resource" + Path
