package web

import (
	"net/http"
)

// revoke is POST /revoke (RFC 7009). The hint is not needed: a token shows what it is.
// A token that is not good is no error; the client has what it wants.
func (e *endpoints) revoke(w http.ResponseWriter, r *http.Request) (map[string]any, error) {
	form, err := readForm(w, r, urlencodedOnly)
	if err != nil {
		return nil, err
	}
	c, err := e.auth.authenticate(r, form)
	if err != nil {
		return nil, err
	}
	if form.Get("token") == "" {
		return nil, invalid("missing: token")
	}
	return map[string]any{}, e.cfg.Tokens.Revoke(r.Context(), c, form.Get("token"))
}
