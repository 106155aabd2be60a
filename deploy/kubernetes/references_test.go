package kubernetes_test

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

// secretsOfUsers are the Secrets, by file of values, that an operator makes, with their entries.
var secretsOfUsers = map[string][]string{
	"minimal":  {"hallpass-keys/keys.json", "hallpass-api-keys/keys.json"},
	"ingress":  {"hallpass-keys/keys.json", "hallpass-api-keys/keys.json"},
	"gateway":  {"hallpass-keys/keys.json", "dpop-nonces/secret"},
	"external": {"users-database/password", "database-authority/ca.crt", "items-database/secret"},
	"everything": {
		"login-keys/keys.json", "api-keys/keys.json", "mail/password", "registration/token", "registry/.dockerconfigjson",
	},
}

// TestSecretsExist checks that each Secret of a pod is one that an operator makes, by the names above or by the
// External Secrets Operator or CloudNativePG; and that no Secret is asked for that no pod needs.
func TestSecretsExist(t *testing.T) {
	eachFile(t, func(t *testing.T, objects []any) {
		_, file, _ := strings.Cut(t.Name(), "/")
		exist := map[string]bool{} // and whether it is used
		for _, secret := range secretsOfUsers[file] {
			exist[secret] = false
		}
		for _, e := range of[*externalSecret](objects) {
			exist[e.Spec.Target.Name+"/"+e.Spec.Data[0].SecretKey] = false
		}
		for _, c := range of[*cluster](objects) { // CloudNativePG makes these
			exist[c.Metadata.Name+"-app/password"] = false
			exist[c.Metadata.Name+"-ca/ca.crt"] = false
		}
		for _, p := range pods(t, objects) {
			for _, secret := range secretsOf(t, p) {
				if _, ok := exist[secret]; !ok {
					t.Errorf("%s needs Secret %s, which nobody makes", p.owner, secret)
				}
				exist[secret] = true
			}
		}
		for secret, used := range exist {
			if !used {
				t.Errorf("no pod uses Secret %s", secret)
			}
		}
	})
}

// secretsOf returns the Secrets that a pod refers to, as NAME/ENTRY.
func secretsOf(t *testing.T, p pod) (all []string) {
	t.Helper()
	for _, volume := range p.Spec.Volumes {
		if volume.Secret != nil {
			for _, item := range volume.Secret.Items {
				all = append(all, volume.Secret.SecretName+"/"+item.Key)
			}
		}
	}
	for _, variable := range environment(p, t) {
		if variable.ValueFrom != nil && variable.ValueFrom.SecretKeyRef != nil {
			all = append(all, variable.ValueFrom.SecretKeyRef.Name+"/"+variable.ValueFrom.SecretKeyRef.Key)
		}
	}
	for _, secret := range p.Spec.ImagePullSecrets {
		all = append(all, secret.Name+"/.dockerconfigjson")
	}
	return all
}

// TestFilesAreMounted checks that each file that a setting names is in a volume, and that each volume is mounted.
func TestFilesAreMounted(t *testing.T) {
	eachFile(t, func(t *testing.T, objects []any) {
		for _, p := range pods(t, objects) {
			files := mountedFiles(t, p)
			for _, variable := range environment(p, t) {
				_, authority, _ := strings.Cut(variable.Value, "sslrootcert=")
				for _, file := range []string{variable.Value, authority} {
					if strings.HasPrefix(file, "/") && !slices.Contains(files, file) {
						t.Errorf("%s: %s: %s is in no volume", p.owner, variable.Name, file)
					}
				}
			}
		}
	})
}

// mountedFiles returns the paths of the files of Secrets in a container.
func mountedFiles(t *testing.T, p pod) (files []string) {
	t.Helper()
	volumes := map[string]corev1.Volume{}
	for _, volume := range p.Spec.Volumes {
		volumes[volume.Name] = volume
	}
	for _, mount := range p.container(t).VolumeMounts {
		volume, ok := volumes[mount.Name]
		if !ok {
			t.Errorf("%s: there is no volume %s", p.owner, mount.Name)
		}
		delete(volumes, mount.Name)
		if volume.Secret != nil {
			for _, item := range volume.Secret.Items {
				files = append(files, path.Join(mount.MountPath, item.Path))
			}
		}
	}
	for unused := range maps.Keys(volumes) {
		t.Errorf("%s: volume %s is not mounted", p.owner, unused)
	}
	return files
}

// TestPrivateKeysStayInTheAuthserver checks that the API has another Secret than the authorization server.
func TestPrivateKeysStayInTheAuthserver(t *testing.T) {
	eachFile(t, func(t *testing.T, objects []any) {
		mine := secretsOf(t, podNamed(t, objects, name+"-authserver"))
		for _, secret := range secretsOf(t, podNamed(t, objects, name+"-resourceserver")) {
			if slices.Contains(mine, secret) && !strings.HasPrefix(secret, "registry/") {
				t.Errorf("both servers have Secret %s", secret)
			}
		}
	})
}

// TestRotationIsLimitedToTheKeys checks the only account that may do something in Kubernetes.
func TestRotationIsLimitedToTheKeys(t *testing.T) {
	eachFile(t, func(t *testing.T, objects []any) {
		_, file, _ := strings.Cut(t.Name(), "/")
		roles, jobs := of[*rbacv1.Role](objects), of[*batchv1.CronJob](objects)
		if file == "external" {
			if len(roles)+len(jobs) != 0 {
				t.Error("the rotation would fight with External Secrets")
			}
			return
		}
		if len(roles) != 1 || len(jobs) != 2 {
			t.Fatalf("%d roles and %d CronJobs, want 1 and 2", len(roles), len(jobs))
		}
		want := map[string][]string{
			"gateway": {"hallpass-keys"}, "everything": {"login-keys", "api-keys"},
		}[file]
		if want == nil {
			want = []string{"hallpass-keys", "hallpass-api-keys"}
		}
		rules := roles[0].Rules
		if len(rules) != 1 || !slices.Equal(rules[0].ResourceNames, want) ||
			!slices.Equal(rules[0].Resources, []string{"secrets"}) || !slices.Equal(rules[0].Verbs, []string{"get", "patch"}) {
			t.Errorf("the rules are %+v, want get and patch of Secrets %q", rules, want)
		}
		binding := must(t, objects, func(*rbacv1.RoleBinding) bool { return true })
		for _, job := range jobs {
			p := podNamed(t, objects, job.Name)
			if p.Spec.ServiceAccountName != binding.Subjects[0].Name || binding.RoleRef.Name != roles[0].Name ||
				binding.Subjects[0].Namespace != namespace {
				t.Errorf("%s runs as %s, which has no Role", job.Name, p.Spec.ServiceAccountName)
			}
		}
	})
}

// TestProbesPointAtTheAdminListener checks paths and ports against the settings of the servers.
func TestProbesPointAtTheAdminListener(t *testing.T) {
	eachFile(t, func(t *testing.T, objects []any) {
		for _, d := range of[*appsv1.Deployment](objects) {
			p := pod{d.Name, d.Spec.Template}
			c, env := p.container(t), environment(pod{d.Name, d.Spec.Template}, t)
			for port, setting := range map[string]string{"http": "HALLPASS_LISTEN", "admin": "HALLPASS_ADMIN_LISTEN"} {
				if want := fmt.Sprintf(":%d", portNamed(t, p, port)); env[setting].Value != want {
					t.Errorf("%s: %s is %s, but port %s is %s", d.Name, setting, env[setting].Value, port, want)
				}
			}
			for want, probe := range map[string]*corev1.Probe{
				"admin/healthz": c.LivenessProbe, "admin/readyz": c.ReadinessProbe, "admin/healthz (start)": c.StartupProbe,
			} {
				got := probe.HTTPGet.Port.String() + probe.HTTPGet.Path
				if got != strings.TrimSuffix(want, " (start)") {
					t.Errorf("%s: a probe is at %s, want %s", d.Name, got, want)
				}
			}
		}
	})
}

// TestServersStayInTheirServiceDuringAFailover checks that the probes of the authorization server may fail for half a
// minute: all servers share one database, and without one of them there are no keys and no status lists.
func TestServersStayInTheirServiceDuringAFailover(t *testing.T) {
	eachFile(t, func(t *testing.T, objects []any) {
		for owner, want := range map[string]int32{name + "-authserver": 30, name + "-resourceserver": 4} {
			probe := podNamed(t, objects, owner).container(t).ReadinessProbe
			if got := probe.PeriodSeconds * probe.FailureThreshold; got != want {
				t.Errorf("%s leaves its Service after %d seconds, want %d", owner, got, want)
			}
		}
	})
}

// TestMigrationEndsBeforeServersStart checks the hooks: before an upgrade always, before an installation if the
// database exists by then.
func TestMigrationEndsBeforeServersStart(t *testing.T) {
	eachFile(t, func(t *testing.T, objects []any) {
		want := "pre-upgrade"
		if len(of[*cluster](objects)) == 0 {
			want = "pre-install,pre-upgrade"
		}
		job := must(t, objects, func(*batchv1.Job) bool { return true })
		account := must(t, objects, func(a *corev1.ServiceAccount) bool { return a.Name == job.Name })
		policy := must(t, objects, func(p *networkingv1.NetworkPolicy) bool { return p.Name == job.Name })
		for of, annotations := range map[string]map[string]string{
			"Job": job.Annotations, "ServiceAccount": account.Annotations, "NetworkPolicy": policy.Annotations,
		} {
			if got := annotations["helm.sh/hook"]; got != want {
				t.Errorf("the hook of the %s is %q, want %q", of, got, want)
			}
			if early := annotations["helm.sh/hook-weight"] == "-10"; early != (of != "Job") {
				t.Errorf("the %s is not made in order", of)
			}
		}
	})
}

// autoscalers returns the names of the Deployments that have an autoscaler, and checks its metrics.
func autoscalers(t *testing.T, objects []any) map[string]bool {
	t.Helper()
	scaled := map[string]bool{}
	for _, h := range of[*autoscalingv2.HorizontalPodAutoscaler](objects) {
		scaled[h.Spec.ScaleTargetRef.Name] = true
		queue := slices.ContainsFunc(h.Spec.Metrics, func(m autoscalingv2.MetricSpec) bool {
			return m.Type == autoscalingv2.PodsMetricSourceType && m.Pods.Metric.Name == "hallpass_waiting"
		})
		if queue != strings.HasSuffix(h.Name, "-authserver") {
			t.Errorf("%s: it looks at the password queue: %v", h.Name, queue)
		}
		if m := h.Spec.Metrics[0]; m.Resource == nil || m.Resource.Name != corev1.ResourceCPU {
			t.Errorf("%s does not look at the CPU", h.Name)
		}
	}
	return scaled
}
