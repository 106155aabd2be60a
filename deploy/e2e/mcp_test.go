package e2e_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

// agentURL is the redirect URI of the MCP clients in these tests. They register it without its port.
const agentURL = "http://localhost:3142/callback"

// documentServer serves documents of clients, with TLS, on a loopback address.
type documentServer struct {
	*httptest.Server
	certificate string // path of its certificate

	mu    sync.Mutex
	files map[string]any
}

// newDocumentServer starts a server without documents.
func newDocumentServer(t *testing.T) *documentServer {
	t.Helper()
	d := &documentServer{certificate: filepath.Join(t.TempDir(), "certificate.pem"), files: map[string]any{}}
	d.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.files[r.URL.Path] == nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(d.files[r.URL.Path])
	}))
	t.Cleanup(d.Close)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d.Certificate().Raw})
	if err := os.WriteFile(d.certificate, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return d
}

// publish puts a document at a path and returns its URL.
func (d *documentServer) publish(path string, document any) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.files[path] = document
	return d.URL + path
}

// client publishes the metadata document of a client. It returns its client_id.
func (d *documentServer) client(path string, more map[string]any) string {
	document := map[string]any{
		"client_id": d.URL + path, "client_name": "Agent of " + path, "redirect_uris": []string{"http://localhost/callback"},
		"token_endpoint_auth_method": "none", "grant_types": []string{"authorization_code", "refresh_token"},
	}
	for name, value := range more {
		document[name] = value
	}
	return d.publish(path, document)
}

// mcpRun is what `make run-mcp` runs.
type mcpRun struct {
	authURL, mcpURL, database string
	documents                 *documentServer
}

// startMCP builds the MCP server of deploy/examples/mcp and starts what `make run-mcp` does, with documents on a
// server of the test.
func startMCP(t *testing.T) *mcpRun {
	t.Helper()
	folder, programs := filepath.Join(t.TempDir(), "var"), t.TempDir()
	if err := copyPrograms(programs); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", programs, "./deploy/examples/mcp")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run := &mcpRun{
		mcpURL:    "http://" + freeAddresses(t, 1)[0] + "/mcp",
		database:  "sqlite:" + filepath.Join(folder, "hallpass.db"),
		documents: newDocumentServer(t),
	}
	r := startRunner(t, exec.Command(filepath.Join(root, "deploy", "run-mcp.sh")), programs, folder, map[string]string{
		"MCP_URL": run.mcpURL, "MCP_DOCUMENTS": run.documents.Listener.Addr().String(),
		"SSL_CERT_FILE": run.documents.certificate, "HALLPASS_BCRYPT_COST": "10",
	})
	r.ready(t)
	run.authURL = "http://" + r.addresses[0]
	waitFor(t, "the MCP server", func() bool {
		resp, err := http.Get(run.mcpURL)
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	}, r.process)
	return run
}

// MCP clients get from the URL of an MCP server to a call of its tools: they find the authorization server,
// describe themselves, log the user in, and call.
func TestMCP(t *testing.T) {
	t.Parallel()
	run := startMCP(t)
	document := run.documents.client("/client.json", nil)
	t.Run("go-sdk, dynamic registration", func(t *testing.T) {
		run.callByGoSDK(t, auth.AuthorizationCodeHandlerConfig{
			DynamicClientRegistrationConfig: &auth.DynamicClientRegistrationConfig{
				Metadata: &oauthex.ClientRegistrationMetadata{
					ClientName: "An agent in Go", RedirectURIs: []string{"http://localhost/callback", agentURL},
					GrantTypes: []string{"authorization_code", "refresh_token"}, TokenEndpointAuthMethod: "none",
				},
			},
		})
	})
	t.Run("go-sdk, metadata document", func(t *testing.T) {
		run.callByGoSDK(t, auth.AuthorizationCodeHandlerConfig{
			ClientIDMetadataDocumentConfig: &auth.ClientIDMetadataDocumentConfig{URL: document},
		})
	})
	t.Run("npm SDK", func(t *testing.T) {
		needNode(t)
		text, err := json.Marshal(map[string]any{"mcp": run.mcpURL, "redirectURI": agentURL, "document": document})
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, way := range []string{"dynamic registration", "metadata document"} {
			want = append(want, way+": read_note", way+": refresh", way+": write_note")
		}
		runSteps(t, cleanEnv("SYSTEM="+string(text)), "node", []string{"node", "mcp-client.js"}, agentURL, want...)
	})
	t.Run("private_key_jwt", run.callWithKeys)

	list := mustCommand(t, "", "authserver", "client", "list", "--database-url", run.database)
	for _, name := range []string{"An agent in Go", document} {
		if !strings.Contains(list, name) {
			t.Errorf("client list does not have %s:\n%s", name, list)
		}
	}
}

// callByGoSDK calls the tools through the go-sdk's client. The challenges name the scopes that it asks for.
func (run *mcpRun) callByGoSDK(t *testing.T, config auth.AuthorizationCodeHandlerConfig) {
	john := newPerson(t, "john.doe", demoPassword)
	var scopes []string
	config.RedirectURL = agentURL
	config.AuthorizationCodeFetcher = func(
		_ context.Context, args *auth.AuthorizationArgs,
	) (*auth.AuthorizationResult, error) {
		asked, err := url.Parse(args.URL)
		if err != nil {
			return nil, err
		}
		scope := strings.Fields(asked.Query().Get("scope"))
		slices.Sort(scope)
		scopes = append(scopes, strings.Join(scope, " "))
		to, err := url.Parse(john.visit(args.URL, agentURL, "allow"))
		if err != nil {
			return nil, err
		}
		q := to.Query()
		return &auth.AuthorizationResult{Code: q.Get("code"), State: q.Get("state"), Iss: q.Get("iss")}, nil
	}
	handler, err := auth.NewAuthorizationCodeHandler(&config)
	if err != nil {
		t.Fatal(err)
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "agent", Version: "1"}, nil)
	transport := &mcp.StreamableClientTransport{Endpoint: run.mcpURL, OAuthHandler: handler}
	session, err := client.Connect(t.Context(), transport, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	for _, call := range []*mcp.CallToolParams{
		{Name: "read_note", Arguments: map[string]any{}},
		{Name: "write_note", Arguments: map[string]any{"text": "x"}},
	} {
		result, err := session.CallTool(t.Context(), call)
		if err != nil || result.IsError {
			t.Fatalf("%s: %+v, %v", call.Name, result, err)
		}
	}
	if want := []string{"notes:read", "notes:read notes:write"}; !slices.Equal(scopes, want) {
		t.Errorf("scopes that the client asked for (-want +got):\n%s", cmp.Diff(want, scopes))
	}
}
