package keyring

import "net/http"

// SetTransport replaces the transport of the source. Call it before Watch.
func SetTransport(s *URL, transport http.RoundTripper) { s.client.Transport = transport }

// WatchInterval is how often Watch looks at a file.
const WatchInterval = watchInterval
