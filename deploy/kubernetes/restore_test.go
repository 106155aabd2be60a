package kubernetes_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	sigsyaml "sigs.k8s.io/yaml"
)

// restoreSections returns the sections of README.md about backups and restoring them.
func restoreSections(t *testing.T) (backUp, restore string) {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(readme), "\n## Back up\n")
	backUp, restore, found := strings.Cut(text, "\n## Restore\n")
	if !found {
		t.Fatal("README.md has no sections Back up and Restore, in this order")
	}
	return backUp, restore
}

// blocks returns the blocks of a language in a text, without what they are indented by.
func blocks(text, language string) (all []string) {
	fenced := regexp.MustCompile("(?ms)^( *)```" + language + "\n(.*?)^ *```$")
	for _, found := range fenced.FindAllStringSubmatch(text, -1) {
		all = append(all, regexp.MustCompile("(?m)^"+found[1]).ReplaceAllString(found[2], ""))
	}
	return all
}

// TestRestoreNamesWhatExists checks that the commands of the section name objects that the chart or CloudNativePG
// makes.
func TestRestoreNamesWhatExists(t *testing.T) {
	objects := render(t, "testdata/values/minimal.yaml")
	exist := []string{"hallpass-keys", "hallpass-api-keys", "hallpass-$"} // Secrets, and a loop over both
	for _, d := range of[*appsv1.Deployment](objects) {
		exist = append(exist, strings.TrimPrefix(d.Name, release+"-"))
	}
	for _, c := range of[*batchv1.CronJob](objects) {
		exist = append(exist, strings.TrimPrefix(c.Name, release+"-"))
	}
	for _, c := range of[*cluster](objects) {
		of := strings.TrimPrefix(c.Metadata.Name, release+"-")
		exist = append(exist, of, of+"-rw", of+"-app", of+"-ca")
	}
	_, restore := restoreSections(t)
	commands := strings.Join(blocks(restore, "sh manual"), "\n")
	names := regexp.MustCompile(`hallpass-([a-z-]+|\$)`).FindAllString(commands, -1)
	if len(names) < 15 {
		t.Errorf("the section names only %q: this test no longer finds the names", names)
	}
	for _, name := range names {
		if !slices.Contains(exist, name) {
			t.Errorf("the section names %s, which does not exist; there are %q", name, exist)
		}
	}
}

// TestBackupValues renders the values of both sections: backups do not change how the database begins, and the
// recovery reads the archive of the previous cluster and writes another one.
func TestBackupValues(t *testing.T) {
	const initdb = "initdb: {database: hallpass, owner: hallpass}"
	const recovery = "recovery: {database: hallpass, owner: hallpass, source: backup}"
	backUp, restore := restoreSections(t)
	for _, test := range []struct{ section, bootstrap, from, to string }{
		{backUp, initdb, "", "users-1"}, {restore, recovery, "users-1", "users-2"},
	} {
		values := blocks(test.section, "yaml")
		if len(values) != 1 {
			t.Fatalf("%d blocks of values, want 1, in %s", len(values), test.section)
		}
		spec := clusterSpecs(t, values[0])[name+"-users"]
		var got struct {
			Bootstrap        map[string]any
			ExternalClusters []struct {
				Name   string
				Plugin plugin
			}
			Plugins []plugin
		}
		if err := sigsyaml.Unmarshal(marshal(t, spec), &got); err != nil {
			t.Fatal(err)
		}
		var bootstrap map[string]any
		if err := sigsyaml.Unmarshal([]byte(test.bootstrap), &bootstrap); err != nil {
			t.Fatal(err)
		}
		if got, want := string(marshal(t, got.Bootstrap)), string(marshal(t, bootstrap)); got != want {
			t.Errorf("the bootstrap is\n%s\nwant\n%s", got, want)
		}
		if len(got.Plugins) != 1 || got.Plugins[0].Parameters["serverName"] != test.to {
			t.Errorf("the archive is %+v, want %s", got.Plugins, test.to)
		}
		if test.from != "" && (len(got.ExternalClusters) != 1 || got.ExternalClusters[0].Name != "backup" ||
			got.ExternalClusters[0].Plugin.Parameters["serverName"] != test.from) {
			t.Errorf("the recovery is from %+v, want %s", got.ExternalClusters, test.from)
		}
	}
}

// plugin has fields of a plugin of CloudNativePG.
type plugin struct{ Parameters map[string]string }
