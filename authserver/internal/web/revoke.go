package web

import (
	"net/http"
)

// revoke serves POST /revoke (RFC 7009). The token shows its type, so token_type_hint is
// ignored. Revoking a token that is not active succeeds (section 2.2).
func (e *endpoints) revoke(w http.ResponseWriter, r *http.Request) (any, error) {
	c, token, err := e.readTokenForm(w, r)
	if err != nil {
		return nil, err
	}
	if token == "" {
		return nil, errNoToken
	}
	return struct{}{}, e.cfg.Tokens.Revoke(r.Context(), c, token)
}
