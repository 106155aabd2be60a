package kubernetes_test

import (
	"maps"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	sigsyaml "sigs.k8s.io/yaml"
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

// clusterSpecs returns the specs of the clusters with changes of the values, by the name of the cluster.
func clusterSpecs(t *testing.T, changes string) map[string]map[string]any {
	t.Helper()
	texts, err := template(t, changed(t, "testdata/values/everything.yaml", changes))
	if err != nil {
		t.Fatalf("%s: %v", changes, err)
	}
	specs := map[string]map[string]any{}
	for _, document := range documents(t, texts["hallpass/templates/database.yaml"]) {
		var object struct {
			Kind     string
			Metadata struct{ Name string }
			Spec     map[string]any
		}
		if err := sigsyaml.Unmarshal(document, &object); err != nil {
			t.Fatal(err)
		}
		if object.Kind == "Cluster" {
			specs[object.Metadata.Name] = object.Spec
		}
	}
	return specs
}

// TestClusterSpecIsMerged checks that values can add what CloudNativePG needs for backups and a recovery to the spec of
// each cluster, and can replace what the chart sets.
func TestClusterSpecIsMerged(t *testing.T) {
	const backup = `spec: {plugins: [{name: barman, isWALArchiver: true, parameters: {serverName: NAME}}],
		affinity: {enablePodAntiAffinity: false}, postgresql: {parameters: {work_mem: 8MB}, synchronous: {number: 2}},
		storage: {resizeInUseVolumes: false}, logLevel: debug}`
	specs := clusterSpecs(t, "{authserver: {database: {cluster: {"+strings.ReplaceAll(backup, "NAME", "users-1")+"}}}, "+
		"resourceserver: {items: {database: {cluster: {"+strings.ReplaceAll(backup, "NAME", "items-1")+"}}}}}")
	for which, size := range map[string]string{"users": "50Gi", "items": "10Gi"} {
		spec, before := specs[name+"-"+which], clusterSpecs(t, "{}")[name+"-"+which]
		parameters, _ := before["postgresql"].(map[string]any)["parameters"].(map[string]any)
		if parameters["max_connections"] == nil {
			t.Fatalf("%s: no max_connections without a spec: %v", which, before)
		}
		want := maps.Clone(before)
		maps.Copy(want, map[string]any{
			"plugins": []any{map[string]any{
				"name": "barman", "isWALArchiver": true, "parameters": map[string]any{"serverName": which + "-1"},
			}},
			"affinity": map[string]any{"enablePodAntiAffinity": false, "topologyKey": "kubernetes.io/hostname"},
			"storage":  map[string]any{"size": size, "resizeInUseVolumes": false},
			"logLevel": "debug",
			"postgresql": map[string]any{
				"parameters":  map[string]any{"max_connections": parameters["max_connections"], "work_mem": "8MB"},
				"synchronous": map[string]any{"method": "any", "number": 2},
			},
		})
		if which == "users" {
			want["storage"].(map[string]any)["storageClass"] = "fast"
		}
		if got, want := string(marshal(t, spec)), string(marshal(t, want)); got != want {
			t.Errorf("%s: the spec is\n%s\nwant\n%s", which, got, want)
		}
	}
}

// TestClusterBeginsWithARecovery checks that another way to begin takes the place of initdb, and that CloudNativePG
// makes the password for the same owner, whom the servers log in as.
func TestClusterBeginsWithARecovery(t *testing.T) {
	for given, want := range map[string]string{
		"": "initdb: {database: hallpass, owner: hallpass}",
		"bootstrap: {initdb: {walSegmentSize: 32}}": "initdb: {database: hallpass, owner: hallpass, walSegmentSize: 32}",
		"bootstrap: {recovery: {source: backup, recoveryTarget: {targetTime: '2026-11-30T12:00:00Z'}}}": "recovery: {" +
			"database: hallpass, owner: hallpass, source: backup, recoveryTarget: {targetTime: '2026-11-30T12:00:00Z'}}",
		"bootstrap: {recovery: {database: other, backup: {name: b}}}": "recovery: {database: other, owner: hallpass, " +
			"backup: {name: b}}",
		"bootstrap: {pg_basebackup: {source: old}}": "pg_basebackup: {database: hallpass, owner: hallpass, source: old}",
	} {
		cluster := "{cluster: {spec: {" + given + "}}}"
		specs := clusterSpecs(t, "{authserver: {database: "+cluster+"}, resourceserver: {items: {database: "+cluster+"}}}")
		for _, which := range []string{"users", "items"} {
			var wanted map[string]any
			if err := sigsyaml.Unmarshal([]byte("{"+want+"}"), &wanted); err != nil {
				t.Fatal(err)
			}
			got := specs[name+"-"+which]["bootstrap"]
			if got, want := string(marshal(t, got)), string(marshal(t, wanted)); got != want {
				t.Errorf("%s, with %s: the bootstrap is\n%s\nwant\n%s", which, given, got, want)
			}
		}
	}
}
