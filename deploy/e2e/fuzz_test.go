package e2e_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every fuzz target is built for OSS-Fuzz too, under a name of its own, and `make fuzz` finds those that are known to
// be there.
func TestFuzzTargets(t *testing.T) {
	t.Parallel()
	listed, err := exec.Command("bash", root+"/deploy/fuzz.sh", "-list").Output()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSpace(string(listed)), "\n")
	for _, target := range []string{"./authserver/internal/web FuzzToken", "./shared/bff FuzzCookie"} {
		if !slices.Contains(want, target) {
			t.Errorf("deploy/fuzz.sh -list does not find %s", target)
		}
	}
	var got []string
	names := map[string]bool{}
	for line := range strings.Lines(readProject(t, "deploy/oss-fuzz/build.sh")) {
		target, ok := strings.CutPrefix(strings.TrimSpace(line), "build ")
		if !ok {
			continue
		}
		got = append(got, "./"+target)
		name := target[strings.LastIndex(target, "/")+1:]
		if names[name] {
			t.Errorf("OSS-Fuzz would have two targets of the name %s", name)
		}
		names[name] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("deploy/oss-fuzz/build.sh (-deploy/fuzz.sh -list +build.sh):\n%s", diff)
	}
}
