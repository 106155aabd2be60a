package e2e_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// attack sends what no honest client sends, until the end: garbage, guessed passwords and tokens, requests that do not
// end, and connections that are left open.
func (c *clients) attack() {
	bases := append(append([]string{}, c.auth...), c.api...)
	guesses := []request{
		form("grant_type", "password", "client_id", "fleet", "username", "mallory", "password", "guess"),
		rawForm("grant_type=refresh_token&refresh_token=hpr_" + strings.Repeat("A", 75)),
		rawForm(strings.Repeat("a=b&", 4000)),
		get("/users/me", "Bearer "+strings.Repeat("x", 4000)),
		{method: http.MethodDelete, path: "/%2e%2e/%00"},
	}
	for i, base := range bases {
		c.running.Go(func() {
			for n := i; !c.over(); n++ {
				got, err := try(c.t.Context(), base, guesses[n%len(guesses)])
				if err == nil && (got.status == http.StatusOK || got.status == http.StatusInternalServerError) {
					c.t.Errorf("a hostile request got %d %s", got.status, got.body)
				}
				time.Sleep(50 * time.Millisecond)
			}
		})
		c.running.Go(func() {
			for !c.over() {
				c.hang(strings.TrimPrefix(base, "http://"))
			}
		})
	}
}

// hang opens a connection, sends the beginning of a request and leaves it open for a second.
func (c *clients) hang(address string) {
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Second)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		time.Sleep(100 * time.Millisecond)
		return
	}
	defer conn.Close()
	const head = "POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 16000\r\n\r\n"
	_, _ = io.WriteString(conn, head+"grant_type=") // the server may have closed the connection
	<-ctx.Done()
}
