package kubernetes_test

import (
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
)

// TestDatabaseKeepsItsPolicy checks that what stays after helm uninstall is as protected as before: the policies that
// select the pods of a cluster stay as it does.
func TestDatabaseKeepsItsPolicy(t *testing.T) {
	clusters := 0
	eachFile(t, func(t *testing.T, objects []any) {
		t.Helper()
		n := newNetwork(t, objects)
		for _, c := range of[*cluster](objects) {
			clusters++
			const policy, keep = "helm.sh/resource-policy", "keep"
			if c.Metadata.Annotations[policy] != keep {
				t.Errorf("the cluster %s does not stay", c.Metadata.Name)
			}
			for _, kind := range []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress} {
				for _, p := range n.selecting(n.pods[c.Metadata.Name], kind) {
					if p.Annotations[policy] != keep {
						t.Errorf("the cluster %s stays without its policy %s", c.Metadata.Name, p.Name)
					}
				}
			}
		}
	})
	if clusters == 0 {
		t.Error("no file has a cluster")
	}
}

// TestDatabasesHaveEnoughConnections checks max_connections of the clusters of CloudNativePG: twice the pods, because
// an update starts new ones while the previous ones still finish their requests.
func TestDatabasesHaveEnoughConnections(t *testing.T) {
	const autoscaled = "{authserver: {autoscaling: {enabled: true}}, resourceserver: {autoscaling: {enabled: true}}}"
	const few = "{authserver: {settings: {HALLPASS_DATABASE_CONNECTIONS: 6}}, " +
		"resourceserver: {autoscaling: {enabled: false}, replicas: 5, " +
		"settings: {HALLPASS_ITEMS_DATABASE_CONNECTIONS: '30'}}}"
	for _, test := range []struct{ file, changes, users, items string }{
		{"minimal", "{}", "100", ""},
		{"minimal", autoscaled, "220", ""},
		{"minimal", "{authserver: {database: {cluster: {instances: 1}}, replicas: 8}}", "180", ""},
		{"everything", "{}", "260", "420"},
		{"everything", few, "164", "320"},
	} {
		got := map[string]string{}
		for _, c := range of[*cluster](renderChanged(t, "testdata/values/"+test.file+".yaml", test.changes)) {
			got[c.Metadata.Name] = c.Spec.PostgreSQL.Parameters["max_connections"]
			if failsOver := c.Spec.Instances > 1; failsOver != (c.Spec.PostgreSQL.Synchronous.Number == 1) {
				t.Errorf("%s: %s has %d instances, and %d synchronous ones", test.changes, c.Metadata.Name,
					c.Spec.Instances, c.Spec.PostgreSQL.Synchronous.Number)
			}
		}
		if got[name+"-users"] != test.users || got[name+"-items"] != test.items {
			t.Errorf("%s, with %s: max_connections are %q, want %q and %q", test.file, test.changes, got,
				test.users, test.items)
		}
	}
}
