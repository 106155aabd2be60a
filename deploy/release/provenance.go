// Provenance prints an in-toto statement with the SLSA predicate about the files of a release:
//
//	go run provenance.go -version v1.2.0 -commit 3f2a… -builder https://example.com/builder FILE...
//
// Each file is named by the last part of its path. BUILDER and VERSION can have any characters.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
)

const project = "https://github.com/hallpass-auth/hallpass"

// statement is an in-toto Statement v1, and the rest its SLSA Provenance v1 (slsa.dev/spec/v1.0/provenance).
type statement struct {
	Type          string     `json:"_type"`
	Subject       []resource `json:"subject"`
	PredicateType string     `json:"predicateType"`
	Predicate     predicate  `json:"predicate"`
}

type resource struct {
	Name   string            `json:"name,omitempty"`
	URI    string            `json:"uri,omitempty"`
	Digest map[string]string `json:"digest"`
}

type predicate struct {
	BuildDefinition buildDefinition `json:"buildDefinition"`
	RunDetails      runDetails      `json:"runDetails"`
}

type buildDefinition struct {
	BuildType            string            `json:"buildType"`
	ExternalParameters   map[string]string `json:"externalParameters"`
	InternalParameters   map[string]string `json:"internalParameters"`
	ResolvedDependencies []resource        `json:"resolvedDependencies"`
}

type runDetails struct {
	Builder builder `json:"builder"`
}

type builder struct {
	ID string `json:"id"`
}

func main() {
	version := flag.String("version", "", "version of the release")
	commit := flag.String("commit", "", "commit that it was built from")
	id := flag.String("builder", "", "URI of who has built it")
	flag.Parse()
	if err := write(os.Stdout, *version, *commit, *id, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "provenance:", err)
		os.Exit(1)
	}
}

func write(w io.Writer, version, commit, id string, files []string) error {
	if version == "" || commit == "" || id == "" || len(files) == 0 {
		return errors.New("give -version, -commit, -builder and files")
	}
	subjects, err := digests(files)
	if err != nil {
		return err
	}
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out.Encode(statement{
		Type:          "https://in-toto.io/Statement/v1",
		Subject:       subjects,
		PredicateType: "https://slsa.dev/provenance/v1",
		Predicate: predicate{
			BuildDefinition: buildDefinition{
				BuildType:          project + "/deploy/release/release.sh",
				ExternalParameters: map[string]string{"version": version},
				InternalParameters: map[string]string{"go": runtime.Version()},
				ResolvedDependencies: []resource{{
					URI: "git+" + project, Digest: map[string]string{"gitCommit": commit},
				}},
			},
			RunDetails: runDetails{Builder: builder{ID: id}},
		},
	})
}

// digests returns the name and the SHA-256 of each file.
func digests(files []string) ([]resource, error) {
	subjects := make([]resource, 0, len(files))
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		sum := sha256.New()
		_, err = io.Copy(sum, f)
		f.Close()
		if err != nil {
			return nil, err
		}
		subjects = append(subjects, resource{
			Name: filepath.Base(name), Digest: map[string]string{"sha256": hex.EncodeToString(sum.Sum(nil))},
		})
	}
	return subjects, nil
}
