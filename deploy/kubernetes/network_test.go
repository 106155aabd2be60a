package kubernetes_test

import (
	"slices"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// network answers who may talk to whom, as the NetworkPolicies of a rendered chart say.
type network struct {
	t        *testing.T
	policies []*networkingv1.NetworkPolicy
	pods     map[string]pod
}

// place is one end of a connection: a pod of the chart, a pod elsewhere, or an address.
type place struct {
	namespace string // of a pod
	labels    labels.Set
	cidr      string // of an address, as a policy names it
}

func newNetwork(t *testing.T, objects []any) *network {
	t.Helper()
	n := &network{t: t, policies: of[*networkingv1.NetworkPolicy](objects), pods: map[string]pod{}}
	for _, p := range pods(t, objects) {
		n.pods[p.owner] = p
	}
	for _, c := range of[*cluster](objects) { // its operator gives the pods this label
		n.pods[c.Metadata.Name] = pod{owner: c.Metadata.Name}
		p := n.pods[c.Metadata.Name]
		p.Labels = map[string]string{"cnpg.io/cluster": c.Metadata.Name}
		p.Spec.Containers = []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "postgresql", ContainerPort: 5432}}}}
		n.pods[c.Metadata.Name] = p
	}
	return n
}

// allows reports whether one pod of the chart may connect to a port of another: both ends must allow it.
func (n *network) allows(from, to string, port int32) bool {
	n.t.Helper()
	source, target := n.pods[from], n.pods[to]
	if source.owner == "" || target.owner == "" {
		n.t.Fatalf("there is no %s or no %s", from, to)
	}
	return n.mayLeave(source, place{namespace: namespace, labels: target.Labels}, port, &target) &&
		n.mayEnter(place{namespace: namespace, labels: source.Labels}, target, port)
}

// mayLeave reports whether a pod may connect to a place. A pod that no policy selects may connect to all.
func (n *network) mayLeave(from pod, to place, port int32, target *pod) bool {
	selected := false
	for _, policy := range n.selecting(from, networkingv1.PolicyTypeEgress) {
		selected = true
		for _, rule := range policy.Spec.Egress {
			if n.peersMatch(rule.To, to) && n.portsMatch(rule.Ports, port, target) {
				return true
			}
		}
	}
	return !selected
}

// mayEnter reports whether a place may connect to a pod.
func (n *network) mayEnter(from place, to pod, port int32) bool {
	selected := false
	for _, policy := range n.selecting(to, networkingv1.PolicyTypeIngress) {
		selected = true
		for _, rule := range policy.Spec.Ingress {
			if n.peersMatch(rule.From, from) && n.portsMatch(rule.Ports, port, &to) {
				return true
			}
		}
	}
	return !selected
}

// selecting returns the policies of a type that select a pod.
func (n *network) selecting(p pod, of networkingv1.PolicyType) []*networkingv1.NetworkPolicy {
	return slices.DeleteFunc(slices.Clone(n.policies), func(policy *networkingv1.NetworkPolicy) bool {
		return !selects(n.t, &policy.Spec.PodSelector, p.Labels) || !slices.Contains(policy.Spec.PolicyTypes, of)
	})
}

// peersMatch reports whether a place is one of the peers. No peers are all places.
func (n *network) peersMatch(peers []networkingv1.NetworkPolicyPeer, p place) bool {
	if len(peers) == 0 {
		return true
	}
	return slices.ContainsFunc(peers, func(peer networkingv1.NetworkPolicyPeer) bool {
		if peer.IPBlock != nil || p.cidr != "" {
			return peer.IPBlock != nil && peer.IPBlock.CIDR == p.cidr
		}
		inNamespace := p.namespace == namespace
		if peer.NamespaceSelector != nil {
			inNamespace = selects(n.t, peer.NamespaceSelector, map[string]string{corev1.LabelMetadataName: p.namespace})
		}
		return inNamespace && (peer.PodSelector == nil || selects(n.t, peer.PodSelector, p.labels))
	})
}

// portsMatch reports whether a rule is about a port of a pod. A rule without ports is about all.
func (n *network) portsMatch(ports []networkingv1.NetworkPolicyPort, number int32, of *pod) bool {
	return len(ports) == 0 || slices.ContainsFunc(ports, func(port networkingv1.NetworkPolicyPort) bool {
		if port.Port.Type == intstr.String {
			return of != nil && portNamed(n.t, *of, port.Port.StrVal) == number
		}
		return port.Port.IntVal == number
	})
}

// TestEveryPodHasANetworkPolicy checks that nothing may talk that no policy is about.
func TestEveryPodHasANetworkPolicy(t *testing.T) {
	eachFile(t, func(t *testing.T, objects []any) {
		n := newNetwork(t, objects)
		for owner, p := range n.pods {
			for _, direction := range []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress} {
				if len(n.selecting(p, direction)) == 0 {
					t.Errorf("no NetworkPolicy of type %s selects %s", direction, owner)
				}
			}
		}
		for _, policy := range n.policies {
			for _, rule := range policy.Spec.Ingress {
				if len(rule.From) == 0 || len(rule.Ports) == 0 {
					t.Errorf("%s lets everybody in, or to all ports", policy.Name)
				}
			}
			for _, rule := range policy.Spec.Egress {
				if len(rule.To) == 0 || len(rule.Ports) == 0 {
					t.Errorf("%s lets its pods out to everybody, or to all ports", policy.Name)
				}
			}
		}
	})
}

// TestOnlyWhatMustTalkCan lists all connections between pods of the chart with everything on.
func TestOnlyWhatMustTalkCan(t *testing.T) {
	objects := render(t, "testdata/values/everything.yaml")
	n := newNetwork(t, objects)
	const (
		auth, api    = name + "-authserver", name + "-resourceserver"
		users, items = name + "-users", name + "-items"
	)
	want := []string{
		api + " to " + auth + ":9000",
		api + " to " + items + ":5432",
		auth + " to " + users + ":5432",
		items + " to " + items + ":5432", items + " to " + items + ":8000",
		name + "-migration to " + users + ":5432",
		users + " to " + users + ":5432", users + " to " + users + ":8000",
	}
	var got []string
	for from := range n.pods {
		for to := range n.pods {
			for _, port := range []int32{5432, 8000, 8001, 9000, 9001, 9187} {
				if n.allows(from, to, port) {
					got = append(got, from+" to "+to+":"+strconv.Itoa(int(port)))
				}
			}
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("these may talk:\n%q\nwant\n%q", got, want)
	}
}

// TestWhoComesInFromOutside checks the Ingress controller, Prometheus and everybody else.
func TestWhoComesInFromOutside(t *testing.T) {
	n := newNetwork(t, render(t, "testdata/values/everything.yaml"))
	controller := place{namespace: "ingress-nginx", labels: labels.Set{"app": "controller"}}
	prometheus := place{namespace: "monitoring", labels: labels.Set{"app.kubernetes.io/name": "prometheus"}}
	grafana := place{namespace: "monitoring", labels: labels.Set{"app.kubernetes.io/name": "grafana"}}
	stranger := place{namespace: "default", labels: labels.Set{"app.kubernetes.io/component": "resourceserver"}}
	for _, test := range []struct {
		from place
		to   string
		port int32
		want bool
	}{
		{controller, name + "-authserver", 9000, true},
		{controller, name + "-resourceserver", 8000, true},
		{controller, name + "-authserver", 9001, false},
		{controller, name + "-users", 5432, false},
		{prometheus, name + "-authserver", 9001, true},
		{prometheus, name + "-resourceserver", 8001, true},
		{prometheus, name + "-users", 9187, true},
		{prometheus, name + "-authserver", 9000, false},
		{grafana, name + "-authserver", 9001, false},
		{stranger, name + "-authserver", 9000, false},
		{stranger, name + "-users", 5432, false},
	} {
		if got := n.mayEnter(test.from, n.pods[test.to], test.port); got != test.want {
			t.Errorf("%v to %s:%d: allowed is %v, want %v", test.from, test.to, test.port, got, test.want)
		}
	}
}

// TestTheAPICannotReachTheUsers checks the pods of the API with each file of values: neither a cluster nor the
// addresses of another database.
func TestTheAPICannotReachTheUsers(t *testing.T) {
	eachFile(t, func(t *testing.T, objects []any) {
		n := newNetwork(t, objects)
		if _, ok := n.pods[name+"-users"]; ok && n.allows(name+"-resourceserver", name+"-users", 5432) {
			t.Error("the API may reach the cluster of users")
		}
	})
	n := newNetwork(t, render(t, "testdata/values/external.yaml"))
	users, items := place{cidr: "10.0.8.0/28"}, place{cidr: "10.0.9.0/28"}
	for _, test := range []struct {
		from string
		to   place
		want bool
	}{
		{name + "-authserver", users, true},
		{name + "-migration", users, true},
		{name + "-authserver", items, false},
		{name + "-resourceserver", items, true},
		{name + "-resourceserver", users, false},
	} {
		if got := n.mayLeave(n.pods[test.from], test.to, 5432, nil); got != test.want {
			t.Errorf("%s to %s: allowed is %v, want %v", test.from, test.to.cidr, got, test.want)
		}
	}
}

// TestPortsAreThoseOfTheURLs checks that a server may reach the ports in the URLs of its databases and of the mail
// server, unless the values have the port of their pods.
func TestPortsAreThoseOfTheURLs(t *testing.T) {
	users, items, mail := place{cidr: "10.0.8.0/28"}, place{cidr: "10.0.9.0/28"}, place{cidr: "192.0.2.25/32"}
	n := newNetwork(t, renderChanged(t, "testdata/values/external.yaml", `
authserver:
  database: {url: 'postgres://u@a:5433,b,[2001:db8::1],[2001:db8::2]:5434/d'}
  mail: {url: 'smtp://u@mx.example.com:587', from: a@b, peers: [{ipBlock: {cidr: 192.0.2.25/32}}]}
resourceserver: {items: {database: {port: 6432}}}`))
	auth, api := n.pods[name+"-authserver"], n.pods[name+"-resourceserver"]
	for _, test := range []struct {
		from pod
		to   place
		want []int32
	}{
		{auth, users, []int32{5432, 5433, 5434}},
		{n.pods[name+"-migration"], users, []int32{5432, 5433, 5434}},
		{auth, mail, []int32{587}},
		{api, items, []int32{6432}},
	} {
		for _, port := range []int32{465, 587, 5432, 5433, 5434, 6432} {
			if got, want := n.mayLeave(test.from, test.to, port, nil), slices.Contains(test.want, port); got != want {
				t.Errorf("%s to %s:%d: allowed is %v, want %v", test.from.owner, test.to.cidr, port, got, want)
			}
		}
	}
}

// TestDatabasesMayShareAnAddress checks that two databases at one address are accepted if they have ports of their
// own, and that the API may not reach that of the users.
func TestDatabasesMayShareAnAddress(t *testing.T) {
	n := newNetwork(t, renderChanged(t, "testdata/values/external.yaml", `
authserver: {database: {url: 'postgres://u@h:5433/d', peers: [{ipBlock: {cidr: 10.0.8.0/28}}]}}
resourceserver: {items: {database: {url: 'postgres://i@h:5434/i', peers: [{ipBlock: {cidr: 10.0.8.0/28}}]}}}`))
	for port, want := range map[int32]bool{5432: false, 5433: false, 5434: true} {
		if got := n.mayLeave(n.pods[name+"-resourceserver"], place{cidr: "10.0.8.0/28"}, port, nil); got != want {
			t.Errorf("the API to port %d: allowed is %v, want %v", port, got, want)
		}
	}
}

// TestMailOnlyWhenSet checks the mail server, and fetching from public addresses.
func TestMailOnlyWhenSet(t *testing.T) {
	mail, world := place{cidr: "192.0.2.25/32"}, place{cidr: "0.0.0.0/0"}
	for file, want := range map[string]bool{"everything": true, "minimal": false} {
		n := newNetwork(t, render(t, "testdata/values/"+file+".yaml"))
		auth := n.pods[name+"-authserver"]
		if n.mayLeave(auth, mail, 465, nil) != want || n.mayLeave(auth, world, 443, nil) != want {
			t.Errorf("%s: mail or public addresses: want allowed to be %v", file, want)
		}
		for _, pod := range []string{"resourceserver", "migration"} {
			if p, ok := n.pods[name+"-"+pod]; ok && (n.mayLeave(p, mail, 465, nil) || n.mayLeave(p, world, 443, nil)) {
				t.Errorf("%s: %s may reach the mail server or public addresses", file, pod)
			}
		}
	}
}
