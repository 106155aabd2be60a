package mcpbearer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/internal/strictjson"
)

// maxCall bounds the body of a request to a server with RequireForTools, in bytes.
const maxCall = 4 << 20

// RequireForTools returns middleware that refuses a call of a tool whose token lacks a scope that the tool
// needs. scopes has the scopes by the name of the tool. The refusal is 403 with all of them in the challenge
// (RFC 6750 section 3.1), so that a client can ask its user for them and call again; a tool itself can only
// return an error, and the client learns nothing from it. Put it between Require, which responds to a request
// without a token and checks its proof (DPoP), and the handler. It looks into batches, which the protocol had in
// 2025-03-26 only. A body that is not JSON, or repeats a member, gets 400, and one of more than 4 MiB gets 413.
func RequireForTools(guard *bearer.Guard, scopes map[string][]string) func(http.Handler) http.Handler {
	return checkTools(func(r *http.Request, tool string) *bearer.Refusal {
		needed := scopes[tool]
		if len(needed) == 0 {
			return nil
		}
		_, refusal := guard.Authenticate(r, needed...)
		return refusal
	})
}

// RequireLoginForTools is like RequireForTools, and also refuses a call of one of these tools with a token that is not
// of a user, or of a login that is not good enough: 401 with what is needed in the challenge (RFC 9470 section 3), so
// that a client can have its user log in again. A tool may need no scope. For all requests to a server, use
// guard.RequireLogin instead.
func RequireLoginForTools(
	guard *bearer.Guard, login bearer.UserLogin, scopes map[string][]string,
) func(http.Handler) http.Handler {
	return checkTools(func(r *http.Request, tool string) *bearer.Refusal {
		needed, listed := scopes[tool]
		if !listed {
			return nil
		}
		_, refusal := guard.AuthenticateLogin(r, login, needed...)
		return refusal
	})
}

// checkTools returns middleware that refuses a request if check refuses a tool that it calls.
func checkTools(check func(r *http.Request, tool string) *bearer.Refusal) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCall))
			var tooLarge *http.MaxBytesError
			if errors.As(err, &tooLarge) {
				http.Error(w, fmt.Sprintf("the body is larger than %d bytes", tooLarge.Limit), http.StatusRequestEntityTooLarge)
				return
			}
			if err != nil {
				http.Error(w, "the body could not be read", http.StatusBadRequest)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			tools, err := calledTools(body)
			if err != nil {
				http.Error(w, "the body is not a call that can be read: "+err.Error(), http.StatusBadRequest)
				return
			}
			for _, tool := range tools {
				if refusal := check(r, tool); refusal != nil {
					refusal.Write(w)
					return
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}

// calledTools returns the names of the tools that a request calls. It reads member names exactly, as the SDK does, and
// refuses repeated ones and text after the JSON, so that a call cannot mean another tool here than there.
func calledTools(body []byte) ([]string, error) {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return nil, nil // such as the body of a GET
	}
	messages := []json.RawMessage{body}
	if body[0] == '[' {
		if err := strictjson.Unmarshal(body, &messages); err != nil {
			return nil, err
		}
	}
	var names []string
	for _, message := range messages {
		name, err := calledTool(message)
		if err != nil {
			return nil, err
		}
		if name != "" {
			names = append(names, name)
		}
	}
	return names, nil
}

// calledTool returns the name of the tool that a message calls, empty if it does not call one.
func calledTool(message []byte) (string, error) {
	var call struct {
		Method string          `json:"method"`
		Params json.RawMessage `json:"params"`
	}
	if err := strictjson.Unmarshal(message, &call); err != nil || call.Method != "tools/call" || call.Params == nil {
		return "", err
	}
	var params struct {
		Name string `json:"name"`
	}
	err := strictjson.Unmarshal(call.Params, &params)
	return params.Name, err
}
