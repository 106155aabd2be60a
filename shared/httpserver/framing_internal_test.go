package httpserver

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// startEcho starts a server with our settings that responds with the body and the Content-Length of the request.
func startEcho(t *testing.T) *httptest.Server {
	t.Helper()
	s := Server{Log: slog.New(slog.DiscardHandler)}
	server := httptest.NewUnstartedServer(nil)
	server.Config = s.httpServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Length", r.Header.Get("Content-Length"))
		_, _ = io.Copy(w, r.Body)
	}))
	server.Start()
	t.Cleanup(server.Close)
	return server
}

// The connection closes after a chunked request, and only after one. A client that does not know the length of its body
// gets each response.
func TestClosesAfterChunks(t *testing.T) {
	t.Parallel()
	server := startEcho(t)
	for _, chunked := range []bool{false, true, true, false, true} {
		var body io.Reader = strings.NewReader("some text")
		if chunked {
			body = io.MultiReader(body) // http.NewRequest does not know its length
		}
		resp, err := server.Client().Post(server.URL, "text/plain", body)
		if err != nil {
			t.Fatalf("chunked %v: %v", chunked, err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(got) != "some text" || resp.Close != chunked {
			t.Errorf("chunked %v: %q, %v, closed %v", chunked, got, err, resp.Close)
		}
	}
}

// net/http drops the Content-Length of a chunked request, so the handler cannot close after such requests only. If this
// test fails, it can.
func TestDoesNotSeeLengthOfChunks(t *testing.T) {
	t.Parallel()
	c, err := net.Dial("tcp", startEcho(t).Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"+
		"3\r\na=b\r\n0\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != "a=b" || !resp.Close || resp.Header.Get("X-Length") != "" {
		t.Errorf("%q, %v, %v", body, err, resp.Header)
	}
	if next, err := http.ReadResponse(r, nil); err == nil {
		next.Body.Close()
		t.Errorf("the next request was served: %s", next.Status)
	}
}
