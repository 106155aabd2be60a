package outbound_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/outbound"
)

type requestKey struct{}

// Config.Transport sees the requests of all kinds, with the context of the caller that has caused them.
func TestTransportIsWrapped(t *testing.T) {
	var seen []string
	f := start(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("{}"))
	}, func(cfg *outbound.Config) {
		cfg.Transport = func(next http.RoundTripper) http.RoundTripper {
			return seeing(func(r *http.Request) (*http.Response, error) {
				caller, _ := r.Context().Value(requestKey{}).(string)
				seen = append(seen, r.Method+" "+caller)
				return next.RoundTrip(r)
			})
		}
	})
	ctx := context.WithValue(t.Context(), requestKey{}, "caller")
	if _, err := f.guard.Get(ctx, outbound.JWKSet, f.url+"/keys"); err != nil {
		t.Fatal(err)
	}
	if err := f.guard.Post(ctx, outbound.ClientMetadata, f.url+"/logout", "text/plain", nil); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 2 || seen[0] != "GET caller" || seen[1] != "POST caller" {
		t.Errorf("seen %v, want a GET and a POST of the caller", seen)
	}
}

type seeing func(*http.Request) (*http.Response, error)

func (f seeing) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
