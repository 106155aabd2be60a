package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"

	"github.com/gorilla/mux"

	"github.com/hallpass-auth/hallpass/shared/bearer"
)

// metadata is the protected resource metadata (RFC 9728 section 2). It tells a client that knows only the
// API where to get a token and which scopes there are.
type metadata struct {
	Resource             string   `json:"resource"`
	AuthorizationServers []string `json:"authorization_servers"`
	ScopesSupported      []string `json:"scopes_supported"`
	BearerMethods        []string `json:"bearer_methods_supported"`
}

// addMetadata serves the metadata at the address that the challenges name. An API whose identifier is not
// an http(s) URL has no metadata.
func addMetadata(router *mux.Router, guard *bearer.Guard) error {
	address := bearer.MetadataURL(guard.Audience())
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("address of the metadata: %w", err)
	}
	body, err := json.Marshal(metadata{
		Resource:             guard.Audience(),
		AuthorizationServers: []string{guard.Issuer()},
		ScopesSupported:      slices.Sorted(maps.Keys(scopes)),
		BearerMethods:        []string{"header"},
	})
	if err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	addPage(router, u.Path, document(jsonType, body, nil))
	return nil
}
