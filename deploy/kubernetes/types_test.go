package kubernetes_test

import (
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	sigsyaml "sigs.k8s.io/yaml"
)

// types has a function for each kind that the chart may make. An object of another kind fails the tests.
var types = map[metav1.TypeMeta]func() any{
	kind("v1", "Service"):                               func() any { return new(corev1.Service) },
	kind("v1", "ServiceAccount"):                        func() any { return new(corev1.ServiceAccount) },
	kind("apps/v1", "Deployment"):                       func() any { return new(appsv1.Deployment) },
	kind("autoscaling/v2", "HorizontalPodAutoscaler"):   func() any { return new(autoscalingv2.HorizontalPodAutoscaler) },
	kind("batch/v1", "CronJob"):                         func() any { return new(batchv1.CronJob) },
	kind("batch/v1", "Job"):                             func() any { return new(batchv1.Job) },
	kind("networking.k8s.io/v1", "Ingress"):             func() any { return new(networkingv1.Ingress) },
	kind("networking.k8s.io/v1", "NetworkPolicy"):       func() any { return new(networkingv1.NetworkPolicy) },
	kind("policy/v1", "PodDisruptionBudget"):            func() any { return new(policyv1.PodDisruptionBudget) },
	kind("rbac.authorization.k8s.io/v1", "Role"):        func() any { return new(rbacv1.Role) },
	kind("rbac.authorization.k8s.io/v1", "RoleBinding"): func() any { return new(rbacv1.RoleBinding) },
	kind("gateway.networking.k8s.io/v1", "HTTPRoute"):   func() any { return new(gatewayv1.HTTPRoute) },
	kind("monitoring.coreos.com/v1", "ServiceMonitor"):  func() any { return new(monitoringv1.ServiceMonitor) },
	kind("monitoring.coreos.com/v1", "PrometheusRule"):  func() any { return new(monitoringv1.PrometheusRule) },
	kind("postgresql.cnpg.io/v1", "Cluster"):            func() any { return new(cluster) },
	kind("external-secrets.io/v1", "ExternalSecret"):    func() any { return new(externalSecret) },
}

func kind(version, name string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: version, Kind: name}
}

// decode returns an object of the type of its kind. A field that the type does not have is an error.
func decode(t *testing.T, template string, document []byte) any {
	t.Helper()
	var meta metav1.TypeMeta
	if err := sigsyaml.Unmarshal(document, &meta); err != nil {
		t.Fatalf("%s: %v", template, err)
	}
	make, ok := types[meta]
	if !ok {
		t.Fatalf("%s: objects of kind %v are not tested: add their type", template, meta)
	}
	object := make()
	if err := sigsyaml.UnmarshalStrict(document, object); err != nil {
		t.Fatalf("%s: %v in:\n%s", template, err, document)
	}
	return object
}

// cluster has the fields of a Cluster of CloudNativePG that the chart may set. The module with its types is not
// on the Go module proxy that builds use here; README.md says how the fields were compared with its schema.
type cluster struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        metav1.ObjectMeta `json:"metadata"`
	Spec            struct {
		Instances int    `json:"instances"`
		ImageName string `json:"imageName"`
		Bootstrap struct {
			InitDB struct {
				Database string `json:"database"`
				Owner    string `json:"owner"`
			} `json:"initdb"`
		} `json:"bootstrap"`
		Storage struct {
			Size         string `json:"size"`
			StorageClass string `json:"storageClass"`
		} `json:"storage"`
		PostgreSQL struct {
			Parameters  map[string]string `json:"parameters"`
			Synchronous struct {
				Method string `json:"method"`
				Number int    `json:"number"`
			} `json:"synchronous"`
		} `json:"postgresql"`
		Affinity struct {
			EnablePodAntiAffinity bool   `json:"enablePodAntiAffinity"`
			TopologyKey           string `json:"topologyKey"`
		} `json:"affinity"`
	} `json:"spec"`
}

// externalSecret has the fields of an ExternalSecret that the chart may set, as cluster has those of a Cluster.
type externalSecret struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        metav1.ObjectMeta `json:"metadata"`
	Spec            struct {
		RefreshInterval string `json:"refreshInterval"`
		SecretStoreRef  struct {
			Name string `json:"name"`
			Kind string `json:"kind"`
		} `json:"secretStoreRef"`
		Target struct {
			Name           string `json:"name"`
			CreationPolicy string `json:"creationPolicy"`
		} `json:"target"`
		Data []struct {
			SecretKey string `json:"secretKey"`
			RemoteRef struct {
				Key string `json:"key"`
			} `json:"remoteRef"`
		} `json:"data"`
	} `json:"spec"`
}
