package kubernetes_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// apiServerProgram is for `make test-kubernetes`, which builds it.
var apiServerProgram = flag.String("apiserver", "", "path of kube-apiserver, for a test with a real one")

// apiServer is a Kubernetes API server with an etcd, and nothing else: no node, and no controller.
type apiServer struct {
	url, token string // the token of an administrator
	folder     string
	client     *http.Client
}

// startAPIServer starts a server that ends with the test.
func startAPIServer(t *testing.T) *apiServer {
	t.Helper()
	s := &apiServer{token: "administrator", folder: t.TempDir()}
	etcd, peers, port := freePort(t), freePort(t), freePort(t)
	s.start(t, "etcd", "--data-dir", filepath.Join(s.folder, "etcd"), "--listen-client-urls", etcd.http(),
		"--advertise-client-urls", etcd.http(), "--listen-peer-urls", peers.http(),
		"--initial-advertise-peer-urls", peers.http(), "--initial-cluster", "default="+peers.http())
	s.write(t, "tokens.csv", s.token+",administrator,1,system:masters\n")
	run(t, "openssl", "genrsa", "-out", s.path("accounts.key"), "2048")
	s.start(t, *apiServerProgram, "--etcd-servers", etcd.http(), "--secure-port", string(port),
		"--bind-address", "127.0.0.1", "--cert-dir", s.path("certificates"), "--token-auth-file", s.path("tokens.csv"),
		"--authorization-mode", "RBAC", "--service-account-issuer", "https://kubernetes.example",
		"--service-account-key-file", s.path("accounts.key"), "--service-account-signing-key-file", s.path("accounts.key"),
		"--service-cluster-ip-range", "10.0.0.0/24", "--enable-priority-and-fairness=false",
		"--disable-admission-plugins", "ServiceAccount") // which wants accounts that a controller makes
	s.url = "https://127.0.0.1:" + string(port)
	s.client = &http.Client{Timeout: time.Minute}
	waitFor(t, "the certificate of the API server", func() bool {
		authority, err := os.ReadFile(s.path("certificates/apiserver.crt"))
		pool := x509.NewCertPool()
		if err != nil || !pool.AppendCertsFromPEM(authority) {
			return false
		}
		s.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
		return true
	})
	waitFor(t, "the API server", func() bool {
		status, _ := s.try(http.MethodGet, "/readyz", nil)
		return status == http.StatusOK
	})
	return s
}

// port is a TCP port of the loopback address.
type port string

func (p port) http() string { return "http://127.0.0.1:" + string(p) }

func freePort(t *testing.T) port {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, number, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port(number)
}

func (s *apiServer) path(name string) string { return filepath.Join(s.folder, name) }

func (s *apiServer) write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(s.path(name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// start starts a program that ends with the test. Its output is shown if the test has failed.
func (s *apiServer) start(t *testing.T, program string, args ...string) {
	t.Helper()
	var output bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		if text := output.Bytes(); t.Failed() {
			t.Logf("%s:\n%s", program, text[max(0, len(text)-2000):])
		}
	})
}

// run runs a program that must succeed, and returns its output.
func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// waitFor waits until done returns true.
func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for range 6000 {
		if done() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("%s: nothing happened", what)
}

// try sends a request with a body of JSON.
func (s *apiServer) try(method, path string, body []byte) (status int, text string) {
	r, err := http.NewRequest(method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	r.Header.Set("Authorization", "Bearer "+s.token)
	r.Header.Set("Content-Type", "application/json")
	response, err := s.client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(content)
}

// create creates an object at the path of its kind. Fields that the server does not know are errors.
func (s *apiServer) create(t *testing.T, path string, object any) string {
	t.Helper()
	body, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	status, text := s.try(http.MethodPost, path+"?fieldValidation=Strict", body)
	if status != http.StatusCreated {
		t.Errorf("%s: %d %s\n%s", path, status, text, body)
	}
	return text
}

// createNamespace makes the namespace of the chart, in which Pod Security admission enforces the restricted profile.
func (s *apiServer) createNamespace(t *testing.T) {
	t.Helper()
	s.create(t, "/api/v1/namespaces", map[string]any{"metadata": map[string]any{
		"name":   namespace,
		"labels": map[string]any{"pod-security.kubernetes.io/enforce": "restricted"},
	}})
}

// pathOf returns the path at which objects of a kind are created.
func pathOf(apiVersion, kind string) string {
	group := "/apis/" + apiVersion
	if !strings.Contains(apiVersion, "/") {
		group = "/api/" + apiVersion
	}
	plural := strings.ToLower(kind) + "s"
	if strings.HasSuffix(kind, "y") {
		plural = strings.ToLower(strings.TrimSuffix(kind, "y")) + "ies"
	}
	if kind == "Ingress" {
		plural = "ingresses"
	}
	return fmt.Sprintf("%s/namespaces/%s/%s", group, namespace, plural)
}
