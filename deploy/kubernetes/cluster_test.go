package kubernetes_test

import (
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	sigsyaml "sigs.k8s.io/yaml"
)

// definitions are the modules and folders of the custom resources that the chart uses. The proxy has no module with
// those of CloudNativePG and External Secrets.
var definitions = []struct{ module, files string }{
	{"sigs.k8s.io/gateway-api", "config/crd/standard/*_httproutes.yaml"},
}

// TestMain leaves out the tests of `make test-kubernetes`, unless their flag is given.
func TestMain(m *testing.M) {
	flag.Parse()
	if skip := flag.Lookup("test.skip").Value; *apiServerProgram == "" {
		_ = skip.Set(strings.TrimPrefix(skip.String()+"|OnAPIServer$", "|"))
	}
	os.Exit(m.Run())
}

// A real API server takes every object of the chart: it knows every field, its values are valid, and a namespace with
// restricted pods lets the pods in.
func TestChartOnAPIServer(t *testing.T) {
	for _, file := range valueFiles(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			s := startAPIServer(t)
			s.createNamespace(t)
			s.define(t)
			created := 0
			for _, object := range render(t, file) {
				document := marshal(t, object)
				var meta struct{ APIVersion, Kind string }
				if err := sigsyaml.Unmarshal(document, &meta); err != nil {
					t.Fatal(err)
				}
				path := pathOf(meta.APIVersion, meta.Kind)
				if status, _ := s.try(http.MethodGet, path, nil); status == http.StatusNotFound {
					t.Logf("not tested, because the server has no definition of it: %s", path)
					continue
				}
				var raw map[string]any
				if err := sigsyaml.Unmarshal(document, &raw); err != nil {
					t.Fatal(err)
				}
				delete(raw, "status")
				s.create(t, path, raw)
				created++
			}
			for _, pod := range pods(t, render(t, file)) {
				s.create(t, pathOf("v1", "Pod"), podObject(pod))
			}
			t.Logf("%d objects were created", created)
		})
	}
}

// podObject returns the pod with a name, which a controller would give it.
func podObject(p pod) corev1.Pod {
	meta := p.ObjectMeta
	meta.Name = p.owner
	return corev1.Pod{ObjectMeta: meta, Spec: p.Spec}
}

// define creates the definitions of custom resources.
func (s *apiServer) define(t *testing.T) {
	t.Helper()
	for _, d := range definitions {
		folder := strings.TrimSpace(run(t, "go", "list", "-m", "-f", "{{.Dir}}", d.module))
		files, err := filepath.Glob(filepath.Join(folder, d.files))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has no %s (%v)", d.module, d.files, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var definition map[string]any
			if err := sigsyaml.Unmarshal(text, &definition); err != nil {
				t.Fatal(err)
			}
			s.create(t, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
		}
	}
	waitFor(t, "the definitions", func() bool {
		status, _ := s.try(http.MethodGet, pathOf("gateway.networking.k8s.io/v1", "HTTPRoute"), nil)
		return status == http.StatusOK
	})
}

// The service account of the chart's rotation may rotate the keys in its two Secrets, and read no other. The command
// runs as in a pod: with the token, the authority and the namespace in the folder where Kubernetes puts them.
func TestRotationOnAPIServer(t *testing.T) {
	s := startAPIServer(t)
	s.createNamespace(t)
	objects := render(t, "testdata/values/everything.yaml")
	for _, account := range of[*corev1.ServiceAccount](objects) {
		s.create(t, pathOf("v1", "ServiceAccount"), account)
	}
	for _, role := range of[*rbacv1.Role](objects) {
		s.create(t, pathOf("rbac.authorization.k8s.io/v1", "Role"), role)
	}
	for _, binding := range of[*rbacv1.RoleBinding](objects) {
		s.create(t, pathOf("rbac.authorization.k8s.io/v1", "RoleBinding"), binding)
	}
	folder, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(folder, "authserver")
	keys := filepath.Join(t.TempDir(), "keys.json")
	run(t, program, "key", "init", keys)
	s.createSecret(t, "login-keys", keys)
	s.createSecret(t, "api-keys", filepath.Join(filepath.Dir(keys), "api-keys.json"))
	s.createSecret(t, "other", keys)

	account := s.account(t, name+"-rotation")
	out, err := s.inPod(account, program, "key", "rotate-secret", "login-keys", "--api-secret", "api-keys")
	if err != nil || !strings.Contains(out, "Secret login-keys: rotated") {
		t.Errorf("rotate: %v\n%s", err, out)
	}
	if before, after := readFile(t, keys), s.secret(t, "login-keys"); string(before) == after {
		t.Error("the Secret has not changed")
	}
	if out, err = s.inPod(account, program, "key", "rotate-secret", "other"); err == nil || !strings.Contains(out, "403") {
		t.Errorf("another Secret: %v, want 403\n%s", err, out)
	}
}

// createSecret creates a Secret with the content of a file.
func (s *apiServer) createSecret(t *testing.T, name, file string) {
	t.Helper()
	s.create(t, pathOf("v1", "Secret"), map[string]any{
		"metadata": map[string]any{"name": name},
		"data":     map[string][]byte{"keys.json": readFile(t, file)},
	})
}

// secret returns the content of a Secret.
func (s *apiServer) secret(t *testing.T, name string) string {
	t.Helper()
	_, text := s.try(http.MethodGet, pathOf("v1", "Secret")+"/"+name, nil)
	var secret corev1.Secret
	if err := json.Unmarshal([]byte(text), &secret); err != nil {
		t.Fatal(err)
	}
	return string(secret.Data["keys.json"])
}

// account returns a folder with what a pod of a service account gets.
func (s *apiServer) account(t *testing.T, name string) string {
	t.Helper()
	text := s.create(t, pathOf("v1", "ServiceAccount")+"/"+name+"/token", map[string]any{
		"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": map[string]any{},
	})
	var request struct{ Status struct{ Token string } }
	if err := json.Unmarshal([]byte(text), &request); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for file, content := range map[string]string{
		"token":     request.Status.Token,
		"namespace": namespace,
		"ca.crt":    string(readFile(t, s.path("certificates/apiserver.crt"))),
	} {
		if err := os.WriteFile(filepath.Join(folder, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// inPod runs a program with the folder where a pod has it, in a mount namespace of its own.
func (s *apiServer) inPod(account, program string, args ...string) (string, error) {
	const script = `mkdir -p /run/secrets && mount -t tmpfs none /run/secrets && mkdir /run/secrets/kubernetes.io &&
		cp -r "$1" /run/secrets/kubernetes.io/serviceaccount && shift && exec "$@"`
	cmd := exec.Command("unshare", append([]string{"--mount", "sh", "-c", script, "sh", account, program}, args...)...)
	host, number, _ := strings.Cut(strings.TrimPrefix(s.url, "https://"), ":")
	cmd.Env = append(os.Environ(), "KUBERNETES_SERVICE_HOST="+host, "KUBERNETES_SERVICE_PORT="+number)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
