package e2e_test

import (
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Ids of the client's span in these tests.
const (
	clientTrace = "0af7651916cd43dd8448eb211c80319c"
	clientSpan  = "b7ad6b7169203331"
)

// inTrace returns the request with a traceparent (W3C Trace Context section 3.2).
func (r request) inTrace(traceID string, recorded bool) request {
	flags := "00"
	if recorded {
		flags = "01"
	}
	header := http.Header{"Traceparent": {"00-" + traceID + "-" + clientSpan + "-" + flags}}
	for name, values := range r.header {
		header[name] = values
	}
	r.header = header
	return r
}

// A client's trace goes through the proxy to both tiers, and to PostgreSQL. Its spans have no secret, no query and no
// name of a user. Log lines have its ids, and it is an exemplar in the metrics. A server that stops sends what it has.
func TestTrace(t *testing.T) {
	t.Parallel()
	caddy, err := exec.LookPath("caddy")
	if err != nil {
		leftOut(t, "Caddy is not installed")
	}
	spans := newTraceCollector(t)
	c := &cluster{system: newSystem(t)}
	var database string
	c.database, database = startPostgres(t)
	c.system.database = database
	common := []string{"serve", "--keys-file", c.keysFile, "--issuer", c.authURL, "--audience", c.apiURL,
		"--drain-delay", "0s", "--trusted-proxies", "127.0.0.0/8", "--otlp-endpoint", spans.url}
	c.auth = c.members("authserver", 40, 1, append(common, "--demo", "--bcrypt-cost", "10", "--database-url", database))
	c.api = c.members("resourceserver", 50, 1,
		append(common, "--items-database-url", "sqlite:"+filepath.Join(t.TempDir(), "items.db")))
	c.launchAll(t)
	c.launchCaddy(t, caddy)

	login := send(t, c.authURL, form("username", "john.doe", "password", demoPassword).inTrace(clientTrace, true))
	access := login.text(t, "access_token")
	me := get("/users/me?hidden=query-of-the-test", "Bearer "+access)
	if got := send(t, c.apiURL, me.inTrace(clientTrace, true)); got.status != http.StatusOK {
		t.Fatalf("/users/me: %d %s", got.status, got.body)
	}
	item := get("/items/42", "Bearer "+access).inTrace(clientTrace, true)
	if got := send(t, c.apiURL, item); got.status != http.StatusOK {
		t.Fatalf("/items/42: %d %s", got.status, got.body)
	}
	const unrecorded = "11112222333344445555666677778888"
	send(t, c.apiURL, me.inTrace(unrecorded, false))
	exemplars := send(t, "http://"+c.auth[0].address+":9001", request{
		path: "/metrics", header: http.Header{"Accept": {"application/openmetrics-text; version=1.0.0"}},
	})
	if !strings.Contains(exemplars.body, `# {trace_id="`+clientTrace+`"}`) {
		t.Error("the metrics have no exemplar of the trace")
	}
	for _, m := range c.all() {
		m.process.stop(t)
	}

	of := spans.spans(clientTrace)
	token, users := named(of, "POST /token"), named(of, "GET /users/me")
	if len(token) != 1 || token[0].service != "hallpass-authserver" || token[0].parent() != clientSpan {
		t.Fatalf("the spans of /token: %v, want one below that of the client", token)
	}
	if len(users) != 1 || users[0].service != "hallpass-resourceserver" || users[0].parent() != clientSpan {
		t.Errorf("the spans of /users/me: %v, want one below that of the client", users)
	}
	for _, name := range []string{"SELECT users", "INSERT grants"} {
		found := named(of, name)
		if len(found) == 0 || found[0].parent() != token[0].spanID() || found[0].attribute("db.system.name") != "postgresql" {
			t.Errorf("the spans of %s: %v, want one below that of /token", name, found)
		}
	}
	items, read := named(of, "GET /items/{item_id}"), named(of, "SELECT items")
	if len(items) != 1 || len(read) == 0 || read[0].parent() != items[0].spanID() ||
		read[0].service != "hallpass-resourceserver" {
		t.Errorf("the spans of /items/42: %v, want one with a statement below it: %v", items, read)
	}
	if n := len(spans.spans(unrecorded)); n > 0 {
		t.Errorf("%d spans of a trace that is not recorded", n)
	}
	checkSpansHideSecrets(t, spans, login, "query-of-the-test")
	for _, m := range c.all() {
		for _, want := range []string{"trace_id=" + clientTrace, "span_id="} {
			if !strings.Contains(m.process.output.String(), want) {
				t.Errorf("the log of %s has no %s", m.name, want)
			}
		}
	}
	if !strings.Contains(c.api[0].process.output.String(), "trace_id="+unrecorded) {
		t.Error("the log of the API has not the id of a trace that is not recorded")
	}
}

// checkSpansHideSecrets checks that the spans have nothing of a login but its route, and not the paths of polls.
func checkSpansHideSecrets(t *testing.T, spans *traceCollector, login response, others ...string) {
	t.Helper()
	hidden := append(others, demoPassword, "john.doe", "John Doe", login.text(t, "access_token"), "eyJ",
		login.text(t, "refresh_token"), "/status-lists")
	for _, secret := range hidden {
		if strings.Contains(spans.text(), secret) {
			t.Errorf("the spans have %q", secret)
		}
	}
}

// The API's fetches of keys and of status lists are spans, with the host and the status. A fetch that fails is one too.
// A poll that finds nothing new is not recorded.
func TestTracesOfFetches(t *testing.T) {
	t.Parallel()
	spans := newTraceCollector(t)
	s := newSystem(t)
	s.keysFile = filepath.Join(t.TempDir(), "keys.json")
	mustCommand(t, "", "authserver", "key", "init", "--algorithm", "EdDSA", s.keysFile)
	s.startAuthserver(t, "--demo")
	s.resourceserver = serve(t, "resourceserver", s.apiAdmin, "serve", "--keys-url", s.authURL+"/jwks.json",
		"--issuer", s.authURL, "--audience", s.apiURL, "--listen", s.apiAddress, "--admin-listen", s.apiAdmin,
		"--drain-delay", "0s", "--otlp-endpoint", spans.url)
	s.callMe(t, s.login(t, "john.doe", demoPassword), "John Doe")
	s.authserver.stop(t)
	waitFor(t, "the API to miss the authorization server", func() bool {
		return !strings.Contains(metricsOf(t, s.apiAdmin), "\nhallpass_status_list_failures_total 0\n")
	}, s.resourceserver)
	s.resourceserver.stop(t)

	host, _, _ := strings.Cut(strings.TrimPrefix(s.authURL, "http://"), ":")
	outcomes := map[string]int{}
	for _, span := range named(spans.spans(""), "GET") {
		if span.service != "hallpass-resourceserver" || span.parent() != "" || span.attribute("server.address") != host {
			t.Errorf("the span of a fetch: %v", span)
		}
		outcomes[span.outcome()]++
	}
	if outcomes["200"] < 2 || outcomes["no response"] == 0 || len(outcomes) != 2 {
		t.Errorf("fetches by outcome: %v, want those of keys and a list with 200, and failed ones", outcomes)
	}
	for _, path := range []string{"/status-lists", "/jwks.json"} {
		if strings.Contains(spans.text(), path) {
			t.Errorf("the spans have the path %s", path)
		}
	}
}

// On SQLite, which commits the writes of several requests at once, each statement is in the trace of its request.
func TestTracesOfSQLite(t *testing.T) {
	t.Parallel()
	spans := newTraceCollector(t)
	s := newSystem(t)
	s.startAuthserver(t, "--demo", "--otlp-endpoint", spans.url, "--password-wait", "10m")
	const requests = 20
	traceOf := func(i int) string { return fmt.Sprintf("%032x", 1000+i) }
	var sending sync.WaitGroup
	for i := range requests {
		sending.Go(func() {
			r := form("username", "jane.smith", "password", "anothersecurepass").inTrace(traceOf(i), true)
			if got, err := try(t.Context(), s.authURL, r); err != nil || got.status != http.StatusOK {
				t.Errorf("login: %d %s %v", got.status, got.body, err)
			}
		})
	}
	sending.Wait()
	s.authserver.stop(t)
	for i := range requests {
		of := spans.spans(traceOf(i))
		token, inserted := named(of, "POST /token"), named(of, "INSERT grants")
		if len(token) != 1 || len(inserted) == 0 || inserted[0].parent() != token[0].spanID() {
			t.Errorf("trace %d: %d spans of /token, and %d of its grant", i, len(token), len(inserted))
		}
	}
}

// A wrong endpoint stops the start, and the message names the setting. It does not quote the value.
func TestWrongTraceEndpoint(t *testing.T) {
	t.Parallel()
	keys := newSystem(t).keysFile
	for _, program := range []string{"authserver", "resourceserver"} {
		for _, endpoint := range []string{"collector:4318", "ftp://collector", "http://me:hunter2@collector", "http://c:4317"} {
			got := command(t, "", program, "serve", "--keys-file", keys, "--otlp-endpoint", endpoint)
			if got.code != 2 || !strings.Contains(got.stderr, "--otlp-endpoint (HALLPASS_OTLP_ENDPOINT)") ||
				strings.Contains(got.stderr, "hunter2") {
				t.Errorf("%s with %s: %d %s", program, endpoint, got.code, got.stderr)
			}
		}
		cmd := exec.Command(filepath.Join(bin, program), "serve", "--keys-file", keys)
		cmd.Env = cleanEnv("OTEL_EXPORTER_OTLP_ENDPOINT=collector")
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "OTEL_EXPORTER_OTLP_ENDPOINT") {
			t.Errorf("%s: %v %s", program, err, out)
		}
	}
}

// A collector that cannot be reached, or does not respond, is logged. Requests and the stop go on without it.
func TestCollectorUnreachable(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // it accepts connections, and never responds
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	for name, address := range map[string]string{
		"nobody listens": freeAddresses(t, 1)[0],
		"no response":    silent.Addr().String(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t)
			s.startAuthserver(t, "--demo", "--otlp-endpoint", "http://"+address)
			s.startResourceserver(t, "--otlp-endpoint", "http://"+address)
			for range 20 {
				s.callMe(t, s.login(t, "john.doe", demoPassword), "John Doe")
			}
			s.resourceserver.stop(t)
			s.authserver.stop(t)
			for _, p := range []*process{s.authserver, s.resourceserver} {
				if out := p.output.String(); !strings.Contains(out, "traces cannot be sent") &&
					!strings.Contains(out, "the last traces could not be sent") {
					t.Errorf("%s does not log that traces cannot be sent:\n%s", p.name, out)
				}
			}
		})
	}
}
