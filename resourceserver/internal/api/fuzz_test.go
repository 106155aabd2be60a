package api_test

import (
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/bearertest"
)

// The response to a path below /items/ is the item with that number, 404 if it is not a single segment,
// or 422 if it is not an integer of 64 bits. It is never a redirect or a 500.
func FuzzItemPath(f *testing.F) {
	for _, seed := range []string{"42", "-5", "007", "+1", "abc", "4.0", "1e3", "0x10", "9223372036854775808", "", "/",
		"..", "4/2", "4\n", "\x00", "\xff", "٣", "1_000", "{item_id}", "%2F"} {
		f.Add(seed)
	}
	issuer := bearertest.New(f)
	handler, authorization := newHandler(f, issuer, nil), "Bearer "+issuer.Token("items:read")
	f.Fuzz(func(t *testing.T, id string) {
		r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/items/" + id},
			Header: http.Header{"Authorization": {authorization}}}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		want, integer := new(big.Int).SetString(id, 10)
		switch {
		case id == "" || strings.Contains(id, "/"):
			if w.Code != http.StatusNotFound {
				t.Errorf("%q: status %d", id, w.Code)
			}
		case !integer || !want.IsInt64():
			if w.Code != http.StatusUnprocessableEntity || !json.Valid(w.Body.Bytes()) {
				t.Errorf("%q: status %d, body %q", id, w.Code, w.Body)
			}
		default:
			if got := `{"item_id":` + want.String() + `,"owner":"john.doe"}`; w.Code != http.StatusOK || w.Body.String() != got {
				t.Errorf("%q: status %d, body %q", id, w.Code, w.Body)
			}
		}
	})
}
