package outbound

import (
	"net/http"

	"golang.org/x/sync/singleflight"

	"github.com/hallpass-auth/hallpass/authserver/internal/ratelimit"
)

// Kind is a kind of document or of notification.
type Kind struct {
	// Name is what errors and the log call it, such as "webhook". Two kinds may have the same name.
	Name string
	// MaxBytes bounds a document. The body of the response to a notification is not read.
	MaxBytes int64
	// MediaTypes are the accepted media types of a document.
	MediaTypes []string
	// MaxEntries bounds how many documents and failures are cached.
	MaxEntries int
	// MaxAtHost limits how many requests run at once to a host and to an address; 0 means no limit. It is for kinds
	// whose URLs strangers choose.
	MaxAtHost int
	// SecretURLs says that URLs may have secrets: errors and the log have only their scheme and host.
	SecretURLs bool
}

// The kinds of documents and notifications.
var (
	// ClientMetadata is a client ID metadata document, of which an authorization request has the URL: a stranger may
	// have chosen it.
	ClientMetadata = &Kind{
		Name: "client metadata document", MaxBytes: 5 << 10, MaxEntries: 1000, MediaTypes: []string{"application/json"},
		MaxAtHost: maxOfStranger,
	}
	// KeptClientMetadata is a client ID metadata document of a client that a user has allowed something. It is a kind of
	// its own, so that requests by strangers do not delay those clients.
	KeptClientMetadata = &Kind{
		Name: "client metadata document", MaxBytes: 5 << 10, MaxEntries: 1000, MediaTypes: []string{"application/json"},
		MaxAtHost: maxOfStranger,
	}
	// JWKSet is a JWK Set of a client or an issuer (RFC 7517 section 5).
	JWKSet = &Kind{
		Name: "JWK Set", MaxBytes: 64 << 10, MaxEntries: 200,
		MediaTypes: []string{"application/json", "application/jwk-set+json"},
	}
	// StrangersJWKSet is a JWK Set of a client that nobody has registered. It is a kind of its own, so that slow
	// or many ones do not affect those of other clients.
	StrangersJWKSet = &Kind{
		Name: "JWK Set", MaxBytes: 64 << 10, MaxEntries: 200,
		MediaTypes: []string{"application/json", "application/jwk-set+json"},
		MaxAtHost:  maxOfStranger,
	}
	// Discovery is the metadata of an issuer (OpenID Connect Discovery section 4).
	Discovery = &Kind{
		Name: "issuer's metadata", MaxBytes: 64 << 10, MaxEntries: 200, MediaTypes: []string{"application/json"},
	}
)

// kindState is what a guard has for each kind, so that many requests of one kind, which strangers may
// cause, do not delay others.
type kindState struct {
	*Kind
	guard   *Guard
	client  *http.Client
	cache   cache
	limits  *ratelimit.Limiter
	flights singleflight.Group
	slots   chan struct{}
	shares  shares
}

// state returns what the guard has for a kind.
func (g *Guard) state(kind *Kind) *kindState {
	g.mu.Lock()
	defer g.mu.Unlock()
	k, ok := g.kinds[kind]
	if !ok {
		k = &kindState{
			Kind:   kind,
			guard:  g,
			cache:  cache{max: kind.MaxEntries, entries: map[string]*entry{}},
			limits: ratelimit.New(g.now, hostBurst, hostInterval),
			slots:  make(chan struct{}, maxAtOnce),
			shares: shares{max: kind.MaxAtHost, used: map[string]int{}},
		}
		k.client = &http.Client{
			Transport: g.transport(&http.Transport{ // its zero Proxy means none, whatever the environment says
				DialContext:            k.dial,
				DisableCompression:     true,
				DisableKeepAlives:      true, // each request checks its address
				TLSHandshakeTimeout:    g.timeout,
				MaxResponseHeaderBytes: maxHeader,
			}),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
		g.kinds[kind] = k
	}
	return k
}
