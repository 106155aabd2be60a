// Command mcp is an MCP server that is protected by Hallpass. It keeps one note for each user, in memory.
// An agent that knows nothing but its URL finds the authorization server, and logs its user in:
//
//	go run ./deploy/examples/mcp -issuer http://127.0.0.1:9000 -url http://127.0.0.1:7000/mcp -keys notes-keys.json
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"log"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/mcpbearer"
)

// Scopes of the notes. notes:write includes notes:read.
const (
	scopeRead  = "notes:read"
	scopeWrite = "notes:write"
)

func main() {
	cfg := bearer.Config{ScopeIncludes: map[string][]string{scopeWrite: {scopeRead}}}
	flag.StringVar(&cfg.Issuer, "issuer", "http://127.0.0.1:9000", "identifier of the authorization server")
	flag.StringVar(&cfg.Audience, "url", "http://127.0.0.1:7000/mcp", "URL of this MCP server, its identifier as an API")
	flag.StringVar(&cfg.KeysFile, "keys", "", "file with the secret that 'authserver api add --secret-to' wrote")
	flag.StringVar(&cfg.StatusListsURL, "status-lists", "", "URL of the status lists, if not below the issuer")
	listen := flag.String("listen", "", "address to listen on, if not that of the URL")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, cfg, *listen); err != nil {
		log.Fatal(err)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, cfg bearer.Config, listen string) error {
	u, err := url.Parse(cfg.Audience)
	if err != nil {
		return err
	}
	guard, err := bearer.Open(ctx, cfg)
	if err != nil {
		return err
	}
	server := &http.Server{
		Addr: cmp.Or(listen, u.Host), Handler: handler(guard, u.Path), ReadHeaderTimeout: 5 * time.Second,
	}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	log.Printf("MCP server at %s", cfg.Audience)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// handler serves the MCP endpoint at a path, and the metadata that lead agents to the authorization server.
func handler(guard *bearer.Guard, path string) http.Handler {
	notes := &notebook{texts: map[string]string{}}
	server := mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "read_note", Description: "Reads the user's note"}, notes.read)
	mcp.AddTool(server, &mcp.Tool{Name: "write_note", Description: "Replaces the user's note"}, notes.write)

	mux := http.NewServeMux()
	guard.ServeMetadata(mux.Handle, scopeRead, scopeWrite)
	protect := mcpbearer.Require(guard, scopeRead)
	protectTools := mcpbearer.RequireForTools(guard, map[string][]string{"write_note": {scopeRead, scopeWrite}})
	endpoint := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server },
		&mcp.StreamableHTTPOptions{Stateless: true}) // since version 2026-07-28 of the protocol there are no sessions
	mux.Handle(path, protect(protectTools(endpoint)))
	return mux
}

// notebook has a note for each user.
type notebook struct {
	mu    sync.Mutex
	texts map[string]string // by the user's id
}

type nothing struct{}

type note struct {
	Text string `json:"text" jsonschema:"the text of the note"`
}

func (n *notebook) read(_ context.Context, r *mcp.CallToolRequest, _ nothing) (*mcp.CallToolResult, note, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return nil, note{n.texts[r.Extra.TokenInfo.UserID]}, nil
}

func (n *notebook) write(_ context.Context, r *mcp.CallToolRequest, in note) (*mcp.CallToolResult, note, error) {
	claims, ok := mcpbearer.Claims(r.Extra.TokenInfo)
	if !ok || !claims.Scope.Has(scopeWrite) {
		return nil, note{}, errors.New("the access token lacks the scope " + scopeWrite)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.texts[claims.Subject] = in.Text
	return nil, in, nil
}
