package grant

import (
	"errors"
	"io"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// RequestURIPrefix begins every request_uri (RFC 9126 section 2.2).
const RequestURIPrefix = "urn:ietf:params:oauth:request_uri:"

// PushedLifetime is how long a browser has to open a request_uri.
const PushedLifetime = 90 * time.Second

// OpenedLifetime is how long a user has to log in and decide, once the browser has opened the request_uri.
const OpenedLifetime = 15 * time.Minute

// Limits on the pushed requests that wait for their users.
const (
	// MaxPushed is how many may wait in all.
	MaxPushed = 20_000
	// MaxPushedOfClient is how many of one client may wait.
	MaxPushedOfClient = 10_000
	// MaxPushedOfNetwork is how many that public clients pushed from one network (ratelimit.SiteNetwork) may wait.
	MaxPushedOfNetwork = 100
)

// Errors of pushed requests.
var (
	// ErrPushedUnknown says that the request does not exist, has expired, was used, or is another client's.
	ErrPushedUnknown = errors.New("no such pushed request")
	// ErrTooManyPushed says that the limit on pushed requests that wait for their users is reached.
	ErrTooManyPushed = errors.New("too many pushed requests are waiting")
)

// PushedRequest is an authorization request that a client has pushed (RFC 9126 section 2).
type PushedRequest struct {
	// Digest identifies the request_uri, which is not stored.
	Digest string
	// ClientID is the client that pushed it.
	ClientID string
	// Query holds the parameters of the request as the query of a URL, without client credentials.
	Query string
	// Network is a digest of the network that a public client pushed it from; empty for a client that was
	// authenticated.
	Network string
	// CreatedAt and ExpiresAt bound its life. ExpiresAt moves when a browser opens it.
	CreatedAt, ExpiresAt time.Time
}

// NewRequestURI returns a new request_uri made of bytes from random. The error is that of random.
func NewRequestURI(random io.Reader) (string, error) {
	return secret.New(random, RequestURIPrefix)
}

// IsRequestURI reports whether a text looks like a request_uri of a pushed request. Others refer to request
// objects (RFC 9101).
func IsRequestURI(text string) bool { return strings.HasPrefix(text, RequestURIPrefix) }
