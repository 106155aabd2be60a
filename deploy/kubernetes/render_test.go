package kubernetes_test

import (
	"errors"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigsyaml "sigs.k8s.io/yaml"
)

const (
	chartDir  = "hallpass"
	release   = "login"
	namespace = "identity"
	name      = release + "-hallpass" // of the objects
)

// valueFiles returns the files of testdata/values.
func valueFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/values/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("testdata/values has %d files, want 5 or more (%v)", len(files), err)
	}
	return files
}

// readValues reads a file of values.
func readValues(t *testing.T, file string) map[string]any {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]any{}
	if err := sigsyaml.UnmarshalStrict(data, &values); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return values
}

// chart is loaded once.
var chart = sync.OnceValues(func() (*chartv2.Chart, error) {
	slog.SetLogLoggerLevel(slog.LevelWarn) // that files/alerts.yml is a symbolic link is meant
	return loader.Load(chartDir)
})

// template renders the chart, as helm template does, and returns the text of each template.
func template(t *testing.T, values map[string]any) (map[string]string, error) {
	t.Helper()
	return templateOf(t, release, values)
}

// templateOf is template for a release with another name.
func templateOf(t *testing.T, release string, values map[string]any) (map[string]string, error) {
	t.Helper()
	chart, err := chart()
	if err != nil {
		t.Fatal(err)
	}
	options := common.ReleaseOptions{Name: release, Namespace: namespace, Revision: 1, IsInstall: true}
	all, err := util.ToRenderValues(chart, values, options, common.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	return engine.Render(chart, all)
}

// changed returns the values of a file with changes, which are YAML.
func changed(t *testing.T, file, changes string) map[string]any {
	t.Helper()
	values := map[string]any{}
	if err := sigsyaml.UnmarshalStrict([]byte(changes), &values); err != nil {
		t.Fatalf("%s: %v", changes, err)
	}
	return loader.MergeMaps(readValues(t, file), values)
}

// render returns the objects of the chart with a file of values, in the order of their templates.
func render(t *testing.T, file string) []any {
	t.Helper()
	return renderChanged(t, file, "{}")
}

// renderChanged is render with changes of the values.
func renderChanged(t *testing.T, file, changes string) []any {
	t.Helper()
	texts, err := template(t, changed(t, file, changes))
	if err != nil {
		t.Fatalf("%s, with %s: %v", file, changes, err)
	}
	objects := decodeAll(t, texts)
	if len(objects) < 10 {
		t.Fatalf("%s: only %d objects", file, len(objects))
	}
	return objects
}

// decodeAll returns the objects in the texts of templates, in the order of the templates.
func decodeAll(t *testing.T, texts map[string]string) (objects []any) {
	t.Helper()
	for _, path := range slices.Sorted(maps.Keys(texts)) {
		if !strings.HasSuffix(path, ".yaml") {
			continue
		}
		for _, document := range documents(t, texts[path]) {
			objects = append(objects, decode(t, path, document))
		}
	}
	return objects
}

// documents splits a text of YAML, and drops documents that are empty.
func documents(t *testing.T, text string) (all [][]byte) {
	t.Helper()
	reader := yaml.NewYAMLToJSONDecoder(strings.NewReader(text))
	for {
		var document map[string]any
		switch err := reader.Decode(&document); {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			t.Fatalf("%v in:\n%s", err, text)
		case len(document) > 0:
			data, err := sigsyaml.Marshal(document)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, data)
		}
	}
}

// eachFile runs a test for the objects of each file of values.
func eachFile(t *testing.T, test func(t *testing.T, objects []any)) {
	t.Helper()
	for _, file := range valueFiles(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			test(t, render(t, file))
		})
	}
}

// of returns the objects of a type.
func of[T any](objects []any) (found []T) {
	for _, object := range objects {
		if o, ok := object.(T); ok {
			found = append(found, o)
		}
	}
	return found
}

// must returns the only object of a type for which is returns true.
func must[T any](t *testing.T, objects []any, is func(T) bool) T {
	t.Helper()
	found := slices.DeleteFunc(of[T](objects), func(o T) bool { return !is(o) })
	if len(found) != 1 {
		t.Fatalf("%d objects of type %T, want 1", len(found), *new(T))
	}
	return found[0]
}

// TestLint is `helm lint` with each file of values: it must have no findings at all.
func TestLint(t *testing.T) {
	for _, file := range valueFiles(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			linter := lint.RunAll(chartDir, readValues(t, file), namespace)
			for _, message := range linter.Messages {
				t.Error(message.Error())
			}
		})
	}
}

// marshal returns a value as YAML with sorted keys.
func marshal(t *testing.T, value any) []byte {
	t.Helper()
	data, err := sigsyaml.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
