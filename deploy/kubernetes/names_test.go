package kubernetes_test

import (
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestNamesAreShortEnough renders releases with long names; Helm allows 53 characters. Kubernetes allows 52 characters
// in the name of a CronJob, and 63 in those of Services.
func TestNamesAreShortEnough(t *testing.T) {
	for _, release := range []string{
		strings.Repeat("a", 25), strings.Repeat("a", 30), strings.Repeat("a", 53), strings.Repeat("a-", 26),
		"hallpass" + strings.Repeat("x", 26), "hallpass" + strings.Repeat("x", 31), "hallpass" + strings.Repeat("x", 45),
	} {
		texts, err := templateOf(t, release, readValues(t, "testdata/values/everything.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		checkNames(t, decodeAll(t, texts))
	}
}

// checkNames checks that the names of objects are short enough, and that CronJobs have different ones.
func checkNames(t *testing.T, objects []any) {
	t.Helper()
	var jobs []string
	for _, object := range objects {
		of, ok := object.(metav1.Object)
		if !ok {
			continue // a custom resource
		}
		limit := 63
		if _, ok := object.(*batchv1.CronJob); ok {
			limit = 52
			jobs = append(jobs, of.GetName())
		}
		if got := of.GetName(); len(got) > limit || strings.HasSuffix(got, "-") {
			t.Errorf("%T: %s has %d characters, want %d or fewer, and no hyphen at the end", object, got, len(got), limit)
		}
	}
	slices.Sort(jobs)
	if len(slices.Compact(jobs)) != 2 {
		t.Errorf("the CronJobs are %q, want two", jobs)
	}
}

// TestNamesStay checks names that objects of installed releases have: another name would be another object. A CronJob
// of ID tokens with a longer name could not be made.
func TestNamesStay(t *testing.T) {
	for release, want := range map[string]string{
		"login":                    "login-hallpass-rotation-id-tokens",
		strings.Repeat("a", 24):    strings.Repeat("a", 24) + "-hallpass-rotation-id-tokens",
		strings.Repeat("a", 25):    strings.Repeat("a", 25) + "-hallpass-rotation-id-token",
		strings.Repeat("a", 53):    strings.Repeat("a", 40) + "-rotation-id",
		"hallpass-of-the-identity": "hallpass-of-the-identity-rotation-id-tokens",
	} {
		texts, err := templateOf(t, release, readValues(t, "testdata/values/minimal.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, job := range of[*batchv1.CronJob](decodeAll(t, texts)) {
			got = append(got, job.Name)
		}
		if !slices.Contains(got, want) {
			t.Errorf("release %s: the CronJobs are %q, want %s", release, got, want)
		}
	}
}
