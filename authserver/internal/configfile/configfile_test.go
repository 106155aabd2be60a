package configfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/configfile"
)

// Malformed and hostile files are refused, with the line and without their values.
func TestParseRefuses(t *testing.T) {
	t.Parallel()
	// Each level of this names the one before ten times: decoded, it has a billion entries.
	bomb := "scopes: &a0 [x]\n"
	for i, name := range []string{"a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9"} {
		before := "*a" + string(rune('0'+i))
		bomb += name + ": &" + name + " [" + strings.Repeat(before+", ", 9) + before + "]\n"
	}
	const secret = "hps_0123456789abcdef"
	for name, tt := range map[string]struct{ text, says string }{
		"a bomb of aliases":    {bomb, "f.yaml:1: scopes: anchors and aliases are not supported"},
		"an alias alone":       {"scopes: *a", "f.yaml: the file is not YAML"},
		"deep nesting":         {"scopes: " + strings.Repeat("[", 100_000), "f.yaml"},
		"a merge key":          {"<<: {scopes: []}", `f.yaml:1: the document has an unknown key "<<"`},
		"a key twice":          {"scopes: []\nscopes: []", "f.yaml:2: the document has the key scopes twice"},
		"an unknown key":       {"clients:\n- id: a\n  client_secret: " + secret, `f.yaml:3: an entry of clients has an unknown key "client_secret"`},
		"a secret as text":     {"clients:\n- id: a\n  secret: " + secret, "f.yaml:3: secret must have keys"},
		"a secret as a key":    {"clients:\n- id: a\n  secret: {" + secret + "0123456789: }", "f.yaml:3: secret has an unknown key:"},
		"a secret as a list":   {"clients:\n- id: a\n  secret: [" + secret + "]", "f.yaml:3: secret must have keys"},
		"a broken text":        {"clients:\n- id: \"" + secret, "the file is not YAML"},
		"a tag":                {"scopes: !!binary aGk=", "f.yaml:1: scopes must be a list"},
		"a tag of a program":   {"scopes: !!python/object:os.system []", "f.yaml:1: scopes must be a list"},
		"null":                 {"scopes: ~", "f.yaml:1: scopes must be a list"},
		"yes":                  {"apis: [{audience: https://a.example, any_scope: yes}]", "any_scope must be true or false"},
		"a list as document":   {"- a", "f.yaml:1: the document must have keys"},
		"two secrets":          {"clients: [{id: a, secret: {env: A, file: b}}]", "set one of env, file and keep"},
		"no secret":            {"clients: [{id: a, grant_types: [client_credentials], scopes: [a]}]", "needs a secret or an assertion"},
		"a public secret":      {"clients: [{id: a, public: true, secret: {keep: true}}]", "is public, so it has no secret"},
		"no grant type":        {"clients: [{id: a, public: true, scopes: [a]}]", "f.yaml:1: client not usable: it has no grant type"},
		"an odd grant type":    {"clients: [{id: a, public: true, grant_types: [implicit]}]", "there is no grant type like that"},
		"two scopes in one":    {"apis: [{audience: https://a.example, scopes: [a b]}]", "an entry of a list is one scope"},
		"a bad audience":       {"apis: [{audience: a, scopes: [a]}]", "f.yaml:1: API: not usable"},
		"a client twice":       {"clients: [&x {id: a}, *x]", "anchors and aliases"},
		"an API without scope": {"apis: [{audience: https://a.example}]", "it has no scope"},
		"too many documents":   {strings.Repeat("---\n{}\n", 1001), "more than 1000 documents"},
		"too large":            {strings.Repeat("#", configfile.MaxBytes+1), "larger than 1048576 bytes"},
	} {
		_, err := configfile.Parse("f.yaml", []byte(tt.text))
		if !errors.Is(err, configfile.ErrBad) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: got error %v, want one that says %q", name, err, tt.says)
		}
		if err != nil && strings.Contains(err.Error(), "hps_") {
			t.Errorf("%s: the error has the secret: %v", name, err)
		}
	}
}

// A folder is read in the order of its names, without other files and folders.
func TestLoadFolder(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for name, text := range map[string]string{
		"b.yaml": "scopes: [{scope: b, description: B}]",
		"a.yml":  "scopes: [{scope: a, description: A}]",
		"c.txt":  "no YAML: [",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(folder, "d.yaml"), 0o700); err != nil {
		t.Fatal(err)
	}
	c, err := configfile.Load([]string{folder}, nil)
	if err != nil || len(c.Scopes) != 2 || c.Scopes[0].Scope != "a" || c.Scopes[1].Scope != "b" {
		t.Fatalf("got %+v (%v)", c, err)
	}
	if _, err := configfile.Load([]string{folder, folder}, nil); !errors.Is(err, configfile.ErrBad) {
		t.Errorf("the same folder twice: %v", err)
	}
}

// A secret comes from where the file says, and is not weak.
func TestSecretSources(t *testing.T) {
	t.Parallel()
	const good = "0123456789abcdef0123456789abcdef"
	parse := func(secret string) configfile.Config {
		c, err := configfile.Parse("dir/f.yaml",
			[]byte("clients: [{id: a, secret: "+secret+", grant_types: [client_credentials], scopes: [a]}]"))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	from := configfile.Sources{
		Env: func(name string) (string, bool) {
			return map[string]string{"GOOD": good, "WEAK": "password"}[name], name != "UNSET"
		},
		File: func(path string) ([]byte, error) {
			if path != filepath.Join("dir", "secret") && path != "/run/secret" {
				return nil, os.ErrNotExist
			}
			return []byte(good + "\n"), nil
		},
	}
	for secret, want := range map[string]string{
		"{env: GOOD}": good, "{file: secret}": good, "{file: /run/secret}": good,
		"{env: WEAK}": "", "{env: UNSET}": "", "{file: other}": "",
	} {
		d, err := parse(secret).Desired(from)
		switch {
		case want == "" && !errors.Is(err, configfile.ErrBad):
			t.Errorf("%s: got error %v, want ErrBad", secret, err)
		case want == "":
			if strings.Contains(err.Error(), "password") {
				t.Errorf("%s: the error has the secret: %v", secret, err)
			}
		case err != nil || d.Clients[0].Secret != want:
			t.Errorf("%s: secret is wrong (%v)", secret, err)
		}
	}
}
