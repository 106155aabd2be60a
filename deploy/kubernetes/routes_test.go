package kubernetes_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// TestServicesReachPods checks that each Service selects the pods of one Deployment, and a port that they have; and
// that nothing but the Service of Prometheus has the admin port.
func TestServicesReachPods(t *testing.T) {
	eachFile(t, func(t *testing.T, objects []any) {
		for _, service := range of[*corev1.Service](objects) {
			tier, admin := strings.CutSuffix(service.Name, "-admin")
			p := podNamed(t, objects, tier)
			for label, value := range service.Spec.Selector {
				if p.Labels[label] != value {
					t.Errorf("%s does not select its pods: %s", service.Name, label)
				}
			}
			port := service.Spec.Ports[0]
			if len(service.Spec.Ports) != 1 || portNamed(t, p, port.TargetPort.StrVal) != port.Port {
				t.Errorf("%s has other ports than its pods: %v", service.Name, service.Spec.Ports)
			}
			if admin != (port.TargetPort.StrVal == "admin") {
				t.Errorf("%s publishes port %s", service.Name, port.TargetPort.StrVal)
			}
		}
	})
}

// TestRoutesReachServices checks hosts, certificates and Services of Ingresses and HTTPRoutes.
func TestRoutesReachServices(t *testing.T) {
	for _, file := range []string{"ingress", "gateway", "everything"} {
		objects := render(t, "testdata/values/"+file+".yaml")
		var routes []string
		for _, i := range of[*networkingv1.Ingress](objects) {
			rule := i.Spec.Rules[0]
			backend := rule.HTTP.Paths[0].Backend.Service
			routes = append(routes, "ingress "+rule.Host+" "+backend.Name+" "+backend.Port.Name)
			if len(i.Spec.TLS) != 1 || i.Spec.TLS[0].Hosts[0] != rule.Host || i.Spec.TLS[0].SecretName == "" {
				t.Errorf("%s: %s has no certificate", file, i.Name)
			}
		}
		for _, r := range of[*gatewayv1.HTTPRoute](objects) {
			backend := r.Spec.Rules[0].BackendRefs[0]
			routes = append(routes, fmt.Sprintf("gateway %s %s %d", r.Spec.Hostnames[0], backend.Name, *backend.Port))
			if len(r.Spec.ParentRefs) != 1 {
				t.Errorf("%s: %s has no Gateway", file, r.Name)
			}
		}
		want := map[string][]string{
			"ingress": {
				"ingress login.example.com " + name + "-authserver http",
				"ingress api.example.com " + name + "-resourceserver http",
			},
			"gateway": {
				"gateway login.example.com " + name + "-authserver 9000",
				"gateway api.example.com " + name + "-resourceserver 8000",
			},
		}
		want["everything"] = slices.Concat(want["ingress"], want["gateway"])
		if !slices.Equal(routes, want[file]) {
			t.Errorf("%s: routes are\n%q\nwant\n%q", file, routes, want[file])
		}
	}
}

// TestPrometheusFindsTheServers checks that the ServiceMonitor selects both admin Services, as jobs of the rules.
func TestPrometheusFindsTheServers(t *testing.T) {
	objects := render(t, "testdata/values/everything.yaml")
	monitor := must(t, objects, func(*monitoringv1.ServiceMonitor) bool { return true })
	var jobs []string
	for _, service := range of[*corev1.Service](objects) {
		port := service.Spec.Ports[0].Name
		if selects(t, &monitor.Spec.Selector, service.Labels) && port == monitor.Spec.Endpoints[0].Port {
			jobs = append(jobs, service.Labels[monitor.Spec.JobLabel])
		}
	}
	slices.Sort(jobs)
	if !slices.Equal(jobs, []string{"authserver", "resourceserver"}) {
		t.Errorf("Prometheus has the jobs %q; deploy/observability/alerts.yml expects authserver and resourceserver", jobs)
	}
}

// TestStatusListsAreInTheCluster checks that the API fetches the lists from a Service of the chart, and only from
// servers that are ready: one that alone has lost the database does not know of new revocations.
func TestStatusListsAreInTheCluster(t *testing.T) {
	eachFile(t, func(t *testing.T, objects []any) {
		at, err := url.Parse(environment(podNamed(t, objects, name+"-resourceserver"), t)["HALLPASS_STATUS_LISTS_URL"].Value)
		if err != nil {
			t.Fatal(err)
		}
		service := must(t, objects, func(s *corev1.Service) bool { return s.Name == at.Hostname() })
		if at.Port() != fmt.Sprint(service.Spec.Ports[0].Port) {
			t.Errorf("the lists are at %s, but the Service has port %d", at, service.Spec.Ports[0].Port)
		}
		if service.Spec.PublishNotReadyAddresses {
			t.Errorf("%s has servers that are not ready", service.Name)
		}
	})
}
