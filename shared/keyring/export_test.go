package keyring

import "net/http"

// SetTransport makes the source send its requests another way. Call it before Follow.
func SetTransport(s *URL, transport http.RoundTripper) { s.client.Transport = transport }
