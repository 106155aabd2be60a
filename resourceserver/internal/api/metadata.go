package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// metadata is the document of RFC 9728 §2, which tells a client that knows only the
// API where to get a token and for what.
type metadata struct {
	Resource             string   `json:"resource"`
	AuthorizationServers []string `json:"authorization_servers"`
	ScopesSupported      []string `json:"scopes_supported"`
	BearerMethods        []string `json:"bearer_methods_supported"`
}

// addMetadata serves the document where the challenges say it is. An API whose
// identifier is not an http(s) URL has none.
func addMetadata(rt *router, v *token.Verifier) error {
	address := bearer.MetadataURL(v.Audience())
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("address of the metadata: %w", err)
	}
	body, err := json.Marshal(metadata{
		Resource:             v.Audience(),
		AuthorizationServers: []string{v.Issuer()},
		ScopesSupported:      slices.Sorted(maps.Keys(scopes)),
		BearerMethods:        []string{"header"},
	})
	if err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	rt.page(u.Path, document(jsonType, body, nil))
	return nil
}
