package kubernetes_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	sigsyaml "sigs.k8s.io/yaml"
)

// absentServers are the selectors of deploy/observability/alerts.yml that the chart limits to its namespace.
var absentServers = strings.NewReplacer(
	`absent(up{job="authserver"})`, `absent(up{job="authserver",namespace="`+namespace+`"})`,
	`absent(up{job="resourceserver"})`, `absent(up{job="resourceserver",namespace="`+namespace+`"})`,
)

// alertRules returns the rules that the chart renders, as a file of Prometheus.
func alertRules(t *testing.T) []byte {
	t.Helper()
	objects := render(t, "testdata/values/everything.yaml")
	rule := must(t, objects, func(*monitoringv1.PrometheusRule) bool { return true })
	return marshal(t, rule.Spec)
}

// TestAlertsAreThoseOfPrometheus compares the rules with deploy/observability/alerts.yml, which promtool tests. They
// differ only in the namespace of the servers that must exist.
func TestAlertsAreThoseOfPrometheus(t *testing.T) {
	source, err := os.ReadFile("../observability/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var want monitoringv1.PrometheusRuleSpec
	if err := sigsyaml.UnmarshalStrict([]byte(absentServers.Replace(string(source))), &want); err != nil {
		t.Fatal(err)
	}
	got, wanted := alertRules(t), marshal(t, want)
	if !bytes.Equal(got, wanted) {
		t.Errorf("the rules differ from deploy/observability/alerts.yml; got\n%s\nwant\n%s", got, wanted)
	}
}

// TestMissingServersOfOneNamespace checks that servers in another namespace, which the same Prometheus watches, do not
// hide that those of the release are missing: absent does not take labels by grouping, so each must name its namespace.
func TestMissingServersOfOneNamespace(t *testing.T) {
	rules := alertRules(t)
	selectors := regexp.MustCompile(`absent\([^)]*\)`).FindAllString(string(rules), -1)
	if len(selectors) != 2 {
		t.Errorf("the rules have %d times absent, want 2: %q", len(selectors), selectors)
	}
	for _, selector := range selectors {
		if !strings.Contains(selector, `namespace="`+namespace+`"`) {
			t.Errorf("%s does not name the namespace", selector)
		}
	}

	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("left out: promtool is not installed (Debian package prometheus)")
	}
	dir := t.TempDir()
	for file, text := range map[string][]byte{"rules.yml": rules, "test.yml": []byte(missingServers)} {
		if err := os.WriteFile(filepath.Join(dir, file), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), promtool, "test", "rules", filepath.Join(dir, "test.yml")).
		CombinedOutput(); err != nil {
		t.Errorf("promtool test rules: %v\n%s", err, out)
	}
}

// missingServers is a test for promtool: staging has both servers, and the namespace of the release only one.
const missingServers = `
rule_files: [rules.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'up{job="authserver", namespace="staging", instance="a"}', values: '1x20'}
      - {series: 'up{job="resourceserver", namespace="staging", instance="b"}', values: '1x20'}
      - {series: 'up{job="resourceserver", namespace="` + namespace + `", instance="c"}', values: '1x20'}
    alert_rule_test:
      - {eval_time: 4m, alertname: ServersMissing}
      - eval_time: 10m
        alertname: ServersMissing
        exp_alerts:
          - exp_labels: {severity: page, job: authserver, namespace: ` + namespace + `}
            exp_annotations: {summary: "` + namespace + `: Prometheus finds no authserver"}
`
