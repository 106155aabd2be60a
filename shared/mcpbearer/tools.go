package mcpbearer

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"

	"github.com/hallpass-auth/hallpass/shared/bearer"
)

// maxCall bounds the body of a request to a server with RequireForTools, in bytes.
const maxCall = 4 << 20

// RequireForTools returns middleware that refuses a call of a tool whose token lacks a scope that the tool
// needs. scopes has the scopes by the name of the tool. The refusal is 403 with all of them in the challenge
// (RFC 6750 section 3.1), so that a client can ask its user for them and call again; a tool itself can only
// return an error, and the client learns nothing from it. Put it between auth.RequireBearerToken, which
// responds to a request without a token, and the handler.
//
// It does not look into batches of calls, which the protocol had in 2025-03-26 only. So a tool must check the
// scope of Claims, too.
func RequireForTools(guard *bearer.Guard, scopes map[string][]string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCall))
			if err != nil {
				http.Error(w, "the body could not be read, or is too large", http.StatusBadRequest)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			if needed := scopes[calledTool(body)]; len(needed) > 0 {
				if _, refusal := guard.Authenticate(r, needed...); refusal != nil {
					refusal.Write(w)
					return
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}

// calledTool returns the name of the tool that a request calls, empty if it does not call one.
func calledTool(body []byte) string {
	var call struct {
		Method string `json:"method"`
		Params struct {
			Name string `json:"name"`
		} `json:"params"`
	}
	if err := json.Unmarshal(body, &call); err != nil || call.Method != "tools/call" {
		return "" // the SDK refuses what is not JSON
	}
	return call.Params.Name
}
