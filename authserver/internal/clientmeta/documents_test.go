package clientmeta_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/clientmeta"
	"github.com/hallpass-auth/hallpass/authserver/internal/outbound"
)

// allowed is the scope that the clients of these tests may have.
var allowed = oauth.Scope{"notes:read", "notes:write"}

// newDocument serves a document, and returns what finds its client, and the client's id.
func newDocument(b *testing.B) (documents *clientmeta.Documents, id string) {
	b.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "max-age=3600")
		fmt.Fprintf(w, `{"client_id":%q,"client_name":"Agent","redirect_uris":["http://localhost/callback",`+
			`"cursor://anysphere.cursor-mcp/oauth/callback"],"token_endpoint_auth_method":"none",`+
			`"grant_types":["authorization_code","refresh_token"]}`, id)
	}))
	b.Cleanup(server.Close)
	id = server.URL + "/client.json"
	policy, err := clientmeta.ParsePolicy([]string{"all"})
	if err != nil {
		b.Fatal(err)
	}
	address, err := netip.ParseAddrPort(server.Listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	return clientmeta.NewDocuments(policy, outbound.New(outbound.Config{Exception: address, Log: log}), log), id
}

// BenchmarkCachedDocument finds a client by its document, which was fetched before.
func BenchmarkCachedDocument(b *testing.B) {
	documents, id := newDocument(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := documents.Client(b.Context(), id, allowed); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBareMap is the lower bound: the client is in a map.
func BenchmarkBareMap(b *testing.B) {
	documents, id := newDocument(b)
	c, err := documents.Client(b.Context(), id, allowed)
	if err != nil {
		b.Fatal(err)
	}
	var mu sync.Mutex
	clients := map[string]client.Client{id: c}
	b.ReportAllocs()
	for b.Loop() {
		mu.Lock()
		found, ok := clients[id]
		mu.Unlock()
		if !ok || found.ID != id {
			b.Fatal("not found")
		}
	}
}
