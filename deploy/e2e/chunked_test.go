package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// chunkedRequests is how many requests a client sends, four at a time on the connections that it keeps.
const chunkedRequests = 40

// The connection closes after a chunked request (RFC 9112 section 6.1). A client that does not know the length of its
// body gets all responses nevertheless: here Go's.
func TestChunkedRequestsOfGo(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	client := &http.Client{Timeout: timeout, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	body := form("grant_type", "password", "username", "john.doe", "password", "wrong").body
	var senders sync.WaitGroup
	for range 4 {
		senders.Go(func() {
			for range chunkedRequests / 4 {
				if err := postChunked(client, s.authURL+"/introspect", body); err != nil {
					t.Error(err)
				}
			}
		})
	}
	senders.Wait()
}

// postChunked posts a form of unknown length, whose response must be 401 and end the connection.
func postChunked(client *http.Client, url, body string) error {
	resp, err := client.Post(url, "application/x-www-form-urlencoded", io.MultiReader(strings.NewReader(body)))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusUnauthorized || !resp.Close {
		return fmt.Errorf("status %d, Connection: close %v; want 401 and true", resp.StatusCode, resp.Close)
	}
	return nil
}

// fetchStreams posts forms as streams, four at a time, and prints the status of each response and its Connection.
const fetchStreams = `
const one = async () => {
  const body = new ReadableStream({start(c) { c.enqueue(new TextEncoder().encode("token=a")); c.close(); }});
  const headers = {"Content-Type": "application/x-www-form-urlencoded"};
  const resp = await fetch(process.argv[1], {method: "POST", duplex: "half", headers, body});
  await resp.text();
  return resp.status + " " + resp.headers.get("connection");
};
const several = async n => { const got = []; for (let i = 0; i < n; i++) got.push(await one()); return got; };
const n = Number(process.argv[2]) / 4;
console.log(JSON.stringify((await Promise.all([several(n), several(n), several(n), several(n)])).flat()));
`

// The same of Node.js, whose fetch keeps connections, too.
func TestChunkedRequestsOfNode(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		leftOut(t, "Node.js is not installed")
	}
	s := startDemo(t)
	cmd := exec.CommandContext(t.Context(), node, "--input-type=module", "-e", fetchStreams, s.authURL+"/introspect",
		fmt.Sprint(chunkedRequests))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var got []string
	if err := json.Unmarshal(out, &got); err != nil || len(got) != chunkedRequests {
		t.Fatalf("%v: %s", err, out)
	}
	for i, response := range got {
		if response != "401 close" {
			t.Errorf("request %d: %s", i+1, response)
		}
	}
}
