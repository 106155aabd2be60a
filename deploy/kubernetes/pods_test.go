package kubernetes_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// pod is a pod that the chart makes.
type pod struct {
	owner string
	corev1.PodTemplateSpec
}

// container returns the only container of the pod.
func (p pod) container(t *testing.T) corev1.Container {
	t.Helper()
	if len(p.Spec.Containers) != 1 || len(p.Spec.InitContainers) != 0 {
		t.Fatalf("%s: want one container", p.owner)
	}
	return p.Spec.Containers[0]
}

// pods returns the pods of all Deployments, Jobs and CronJobs.
func pods(t *testing.T, objects []any) (all []pod) {
	t.Helper()
	for _, object := range objects {
		switch o := object.(type) {
		case *appsv1.Deployment:
			all = append(all, pod{o.Name, o.Spec.Template})
		case *batchv1.Job:
			all = append(all, pod{o.Name, o.Spec.Template})
		case *batchv1.CronJob:
			all = append(all, pod{o.Name, o.Spec.JobTemplate.Spec.Template})
		}
	}
	if len(all) < 3 {
		t.Fatalf("only %d pods", len(all))
	}
	return all
}

// podNamed returns the pod of one owner.
func podNamed(t *testing.T, objects []any, owner string) pod {
	t.Helper()
	all := pods(t, objects)
	i := slices.IndexFunc(all, func(p pod) bool { return p.owner == owner })
	if i < 0 {
		t.Fatalf("there is no %s", owner)
	}
	return all[i]
}

// TestPodsAreRestricted asks the admission of Kubernetes itself, at the level "restricted".
func TestPodsAreRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	eachFile(t, func(t *testing.T, objects []any) {
		for _, p := range pods(t, objects) {
			result := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &p.ObjectMeta, &p.Spec))
			if !result.Allowed {
				t.Errorf("%s: %s: %s", p.owner, result.ForbiddenReason(), result.ForbiddenDetail())
			}
			checkBeyondRestricted(t, p)
		}
	})
}

// checkBeyondRestricted checks what the level "restricted" does not ask for.
func checkBeyondRestricted(t *testing.T, p pod) {
	t.Helper()
	c := p.container(t)
	if s := c.SecurityContext; s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
		t.Errorf("%s: the root file system can be written", p.owner)
	}
	if mount := p.Spec.AutomountServiceAccountToken; mount == nil || *mount {
		t.Errorf("%s: a token of Kubernetes is mounted", p.owner)
	}
	if p.Spec.ServiceAccountName == "" {
		t.Errorf("%s: it has the default service account", p.owner)
	}
	if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
		t.Errorf("%s: it needs a limit of memory and a request of CPU", p.owner)
	}
	rotates := p.Labels["app.kubernetes.io/component"] == "rotation"
	for _, volume := range p.Spec.Volumes {
		if volume.Projected != nil && !rotates {
			t.Errorf("%s: volume %s is projected: only the rotation may have a token", p.owner, volume.Name)
		}
		if volume.Secret != nil && *volume.Secret.DefaultMode&0o027 != 0 {
			t.Errorf("%s: others can read the files of Secret %s", p.owner, volume.Secret.SecretName)
		}
	}
}

// TestImages checks the images of all pods, with tags and digests, and that the label with the tag is valid.
func TestImages(t *testing.T) {
	const registry = "registry.example.com/team/hallpass-"
	first, second := "sha256:"+strings.Repeat("1", 64), "sha256:"+strings.Repeat("2", 64)
	long := "_" + strings.Repeat("x", 61) + ".y"
	for changes, want := range map[string][2]string{
		"{}":                                {":2026-11-28", ":2026-11-28"},
		"{image: {tag: ''}}":                {":dev", ":dev"},
		"{image: {tag: '" + long + "'}}":    {":" + long, ":" + long},
		"{image: {tag: v1, digests: null}}": {":v1", ":v1"},
		"{image: {digests: {authserver: '" + first + "', resourceserver: '" + second + "'}}}": {
			":2026-11-28@" + first, ":2026-11-28@" + second,
		},
		"{image: {tag: v1, digests: {resourceserver: '" + second + "'}}}": {":v1", ":v1@" + second},
	} {
		for _, p := range pods(t, renderChanged(t, "testdata/values/everything.yaml", changes)) {
			image := registry + "authserver" + want[0]
			if p.Labels["app.kubernetes.io/component"] == "resourceserver" {
				image = registry + "resourceserver" + want[1]
			}
			if got := p.container(t).Image; got != image {
				t.Errorf("%s: %s has image %s, want %s", changes, p.owner, got, image)
			}
			for label, value := range p.Labels {
				for _, problem := range validation.IsValidLabelValue(value) {
					t.Errorf("%s: %s: label %s: %s", changes, p.owner, label, problem)
				}
			}
		}
	}
}

// TestServiceAccountsExist checks that pods name accounts of the chart, which mount no token.
func TestServiceAccountsExist(t *testing.T) {
	eachFile(t, func(t *testing.T, objects []any) {
		for _, p := range pods(t, objects) {
			account := must(t, objects, func(a *corev1.ServiceAccount) bool { return a.Name == p.Spec.ServiceAccountName })
			if account.AutomountServiceAccountToken == nil || *account.AutomountServiceAccountToken {
				t.Errorf("%s mounts its token", account.Name)
			}
		}
	})
}

// TestServersStopInTime compares how long a server takes to stop with how long Kubernetes waits: drain delay, then
// stop timeout.
func TestServersStopInTime(t *testing.T) {
	eachFile(t, func(t *testing.T, objects []any) {
		for _, d := range of[*appsv1.Deployment](objects) {
			var takes time.Duration
			for _, setting := range []string{"HALLPASS_DRAIN_DELAY", "HALLPASS_STOP_TIMEOUT"} {
				of, err := time.ParseDuration(environment(pod{d.Name, d.Spec.Template}, t)[setting].Value)
				if err != nil {
					t.Errorf("%s: %s: %v", d.Name, setting, err)
				}
				takes += of
			}
			grace := time.Duration(*d.Spec.Template.Spec.TerminationGracePeriodSeconds) * time.Second
			if grace < takes+5*time.Second {
				t.Errorf("%s stops within %v, but is killed after %v", d.Name, takes, grace)
			}
			if d.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue() != 0 {
				t.Errorf("%s: a rolling update takes pods away before others are ready", d.Name)
			}
		}
	})
}

// TestBudgetsSelectTheirPods checks that each Deployment has one budget and one spread, and that they select its pods.
func TestBudgetsSelectTheirPods(t *testing.T) {
	eachFile(t, func(t *testing.T, objects []any) {
		for _, d := range of[*appsv1.Deployment](objects) {
			must(t, objects, func(b *policyv1.PodDisruptionBudget) bool {
				return selects(t, b.Spec.Selector, d.Spec.Template.Labels)
			})
			if !selects(t, d.Spec.Selector, d.Spec.Template.Labels) {
				t.Errorf("%s does not select its own pods", d.Name)
			}
			spread := d.Spec.Template.Spec.TopologySpreadConstraints
			if len(spread) != 2 {
				t.Errorf("%s is spread over %d topologies, want zones and nodes", d.Name, len(spread))
			}
			for _, constraint := range spread {
				if !selects(t, constraint.LabelSelector, d.Spec.Template.Labels) {
					t.Errorf("%s is not spread: %s counts other pods", d.Name, constraint.TopologyKey)
				}
			}
		}
	})
}

// selects reports whether a selector selects labels.
func selects(t *testing.T, selector *metav1.LabelSelector, of map[string]string) bool {
	t.Helper()
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		t.Fatal(err)
	}
	return s.Matches(labels.Set(of))
}

// environment returns the variables of a pod by name.
func environment(p pod, t *testing.T) map[string]corev1.EnvVar {
	t.Helper()
	all := map[string]corev1.EnvVar{}
	for _, variable := range p.container(t).Env {
		if _, twice := all[variable.Name]; twice {
			t.Errorf("%s has %s twice", p.owner, variable.Name)
		}
		all[variable.Name] = variable
	}
	return all
}

// portNamed returns the number of a port of a pod.
func portNamed(t *testing.T, p pod, name string) int32 {
	t.Helper()
	for _, port := range p.container(t).Ports {
		if port.Name == name {
			return cmp.Or(port.ContainerPort, -1)
		}
	}
	t.Fatalf("%s has no port %s", p.owner, name)
	return 0
}
