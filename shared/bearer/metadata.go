package bearer

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/dpop"
	"github.com/hallpass-auth/hallpass/shared/publicdoc"
)

// MetadataPath is the well-known path of a protected resource's metadata. It goes between the host
// and the path of the resource's identifier (RFC 9728 section 3.1).
const MetadataPath = "/.well-known/oauth-protected-resource"

// metadata is the protected resource metadata (RFC 9728 section 2).
type metadata struct {
	Resource             string   `json:"resource"`
	AuthorizationServers []string `json:"authorization_servers"`
	ScopesSupported      []string `json:"scopes_supported,omitempty"`
	BearerMethods        []string `json:"bearer_methods_supported"`
	DPoPAlgorithms       []string `json:"dpop_signing_alg_values_supported,omitempty"`
	DPoPRequired         bool     `json:"dpop_bound_access_tokens_required,omitempty"`
}

// ServeMetadata publishes the API's metadata (RFC 9728). It tells a client that knows only the API where
// to get a token, and which scopes there are. ServeMetadata calls handle once, with the path and the
// handler. From then on, the challenges of refusals name the address. handle is usually the Handle method of
// the API's router:
//
//	guard.ServeMetadata(http.Handle, "reports:read")
//
// The API must be reachable by its identifier, Config.Audience. For one that is not an http(s) URL,
// ServeMetadata does nothing. Call it before the API serves requests.
func (g *Guard) ServeMetadata(handle func(path string, handler http.Handler), scopes ...string) {
	address := MetadataURL(g.Audience())
	u, err := url.Parse(address)
	if address == "" || err != nil {
		return
	}
	var algorithms []string
	if g.proofs != nil {
		algorithms = dpop.Algorithms
	}
	body, err := json.Marshal(metadata{
		Resource:             g.Audience(),
		AuthorizationServers: []string{g.Issuer()},
		ScopesSupported:      slices.Sorted(slices.Values(scopes)),
		BearerMethods:        []string{"header"},
		DPoPAlgorithms:       algorithms,
		DPoPRequired:         g.requireDPoP,
	})
	if err != nil {
		panic(err) // strings can always be encoded
	}
	handle(u.Path, publicdoc.Handler("application/json", body))
	g.metadata.Store(&address)
}

// metadataURL returns the address of the metadata, or "" if it is not served.
func (g *Guard) metadataURL() string {
	if address := g.metadata.Load(); address != nil {
		return *address
	}
	return ""
}

// MetadataURL returns the address of the metadata of the API with this identifier (RFC 9728 section
// 3.1), or "" if the identifier is not an http(s) URL. The identifier's path, without a trailing slash,
// and its query follow MetadataPath unchanged.
func MetadataURL(audience string) string {
	u, err := url.Parse(audience)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return ""
	}
	at := u.Scheme + "://" + u.Host + MetadataPath + strings.TrimSuffix(u.EscapedPath(), "/")
	if u.RawQuery != "" {
		at += "?" + u.RawQuery
	}
	return at
}
