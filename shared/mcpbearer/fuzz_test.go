package mcpbearer_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/bearertest"
	"github.com/hallpass-auth/hallpass/shared/mcpbearer"
)

// Whatever is sent, the SDK does not run a tool whose scope the token lacks, although the tool itself does not check.
func FuzzRequireForTools(f *testing.F) {
	const call = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write","arguments":{}}}`
	for _, body := range []string{
		call, strings.Replace(call, "write", "read", 1), "[" + call + "]", call + call, " " + call,
		"", "[]", "null", `{"method":1}`,
		strings.Replace(call, `"name"`, `"Name":"read","name"`, 1), strings.Replace(call, `{}`, `{},"Name":"read"`, 1),
		strings.Replace(call, `"name"`, `"name":"read","name"`, 1), strings.Replace(call, `{}`, `{},"name":"read"`, 1),
		strings.Replace(call, `}}`, `},"Method":"ping"}`, 1), strings.Replace(call, `}}`, `},"Params":{"name":"read"}}`, 1),
		strings.Replace(call, `}}`, `}},"method":"ping"}`, 1), strings.Replace(call, "write", `\u0077rite`, 1),
		"\ufeff" + call,
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}`,
	} {
		f.Add(body)
	}
	tokens := bearertest.New(f)
	guard, err := bearer.Open(f.Context(), bearer.Config{
		Issuer: bearertest.IssuerURL, Audience: bearertest.Audience, Keys: tokens.Ring(), AllowMissingStatus: true,
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		f.Fatal(err)
	}
	handler, ran := newToolServer(guard)
	serve := func(token, body string) {
		r := newCall(body)
		r.Header.Set("Authorization", "Bearer "+token)
		handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	reader, writer := tokens.Token("notes:read"), tokens.Token("notes:read", "notes:write")
	f.Fuzz(func(t *testing.T, body string) {
		serve(reader, body)
		if *ran {
			*ran = false
			t.Errorf("%q: the tool ran without its scope", body)
		}
		serve(writer, call)
		if !*ran {
			t.Error("the tool did not run with its scope")
		}
		*ran = false
	})
}

// newToolServer returns an MCP server that needs the scope notes:read. Its tool write needs the scope notes:write too,
// and sets ran.
func newToolServer(guard *bearer.Guard) (handler http.Handler, ran *bool) {
	ran = new(bool)
	server := mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1"}, nil)
	for _, name := range []string{"read", "write"} {
		mcp.AddTool(server, &mcp.Tool{Name: name},
			func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
				*ran = *ran || name == "write"
				return &mcp.CallToolResult{}, nil, nil
			})
	}
	sdk := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server },
		&mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true})
	protect := mcpbearer.Require(guard, "notes:read")
	return protect(mcpbearer.RequireForTools(guard, map[string][]string{"write": {"notes:write"}})(sdk)), ran
}

// newCall returns a request to an MCP server without a token.
func newCall(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/mcp", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	return r
}
