package e2e_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// releaseTool runs a program of deploy/release in a folder, and returns what it printed.
func releaseTool(dir, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly", "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// The provenance of a release names each file with its digest, and is JSON whatever the names are.
func TestReleaseProvenance(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const name, odd = "a\"b\\c\n\u00e9", `v1"},"x":{"'`
	if err := os.WriteFile(filepath.Join(dir, name), []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := releaseTool(root+"/deploy/release", "go", "run", "provenance.go", "-version", odd, "-commit", "c0ffee",
		"-builder", odd, "--", filepath.Join(dir, name))
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var got struct {
		Type    string `json:"_type"`
		Subject []struct {
			Name   string            `json:"name"`
			Digest map[string]string `json:"digest"`
		} `json:"subject"`
		Predicate struct {
			BuildDefinition struct{ ExternalParameters, InternalParameters map[string]string }
			RunDetails      struct{ Builder struct{ ID string } }
		} `json:"predicate"`
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	const sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // of abc: FIPS 180-4
	if len(got.Subject) != 1 || got.Subject[0].Name != name || got.Subject[0].Digest["sha256"] != sum {
		t.Errorf("subject: %q", got.Subject)
	}
	build := got.Predicate.BuildDefinition
	if got.Type != "https://in-toto.io/Statement/v1" || build.ExternalParameters["version"] != odd ||
		got.Predicate.RunDetails.Builder.ID != odd || !strings.HasPrefix(build.InternalParameters["go"], "go1.") {
		t.Errorf("statement: %s", out)
	}
	if out, err := releaseTool(root+"/deploy/release", "go", "run", "provenance.go", "-version", "v1", "-commit", "c0ffee",
		"-builder", "b", "--", filepath.Join(dir, "missing")); err == nil {
		t.Errorf("the provenance of a missing file: %s", out)
	}
}

// All modules in both programs have a licence that deploy/release/licences.txt lists.
func TestReleaseLicences(t *testing.T) {
	t.Parallel()
	script, err := filepath.Abs(root + "/deploy/release/licences.sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"authserver", "resourceserver"} {
		if out, err := releaseTool(filepath.Join(root, program), script, "./cmd/"+program); err != nil {
			t.Errorf("%s: %v: %s", program, err, out)
		}
	}
}

// A module without a licence, or with one that is not listed, fails.
func TestReleaseRefusesLicences(t *testing.T) {
	t.Parallel()
	script, err := filepath.Abs(root + "/deploy/release/licences.sh")
	if err != nil {
		t.Fatal(err)
	}
	for licence, good := range map[string]bool{
		"":             false,
		"Do as I say.": false,
		"Permission is hereby granted, free of charge,\n to any person obtaining a copy of this software " +
			"and associated documentation": true,
	} {
		dir := t.TempDir()
		writeFiles(t, dir, map[string]string{
			"dependency/go.mod":  "module example.com/dependency\n",
			"dependency/LICENSE": licence,
			"dependency/d.go":    "package dependency\n",
			"program/go.mod": "module example.com/program\n\nrequire example.com/dependency v0.0.0\n\n" +
				"replace example.com/dependency => ../dependency\n",
			"program/main.go": "package main\n\nimport _ \"example.com/dependency\"\n\nfunc main() {}\n",
		})
		out, err := releaseTool(filepath.Join(dir, "program"), script, ".")
		if good != (err == nil) || !good && !strings.Contains(out, "example.com/dependency: its licence is not in") {
			t.Errorf("%q: %v: %s", licence, err, out)
		}
	}
}

func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
