package httpserver_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
)

// Connections that one address leaves open keep no other out, of either listener.
func TestBothListenersAreBounded(t *testing.T) {
	r := start(t, httpserver.Server{Handler: hello, Settings: httpserver.Settings{MaxConnections: 8}})
	other := &http.Client{Timeout: timeout, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext,
	}}
	for _, url := range []string{r.public, r.admin + "/metrics"} {
		host, _, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
		for range 100 {
			c, err := net.Dial("tcp", host)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
		}
		resp, err := other.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s %v", url, resp.Status, err)
		}
		if url == r.public {
			continue
		}
		// All but 8 and 64 are refused, and one of each was replaced.
		for _, sample := range []string{`{listener="public"} 93`, `{listener="admin"} 37`} {
			if !strings.Contains(string(body), "\nhttp_connections_refused_total"+sample+"\n") {
				t.Errorf("the metrics lack %s:\n%s", sample, body)
			}
		}
	}
}
