package e2e_test

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// project is the path of the modules of the project.
const project = "github.com/hallpass-auth/hallpass/"

// published are the modules that programs outside of the repository use.
var published = []string{
	"shared", "shared/database", "shared/humaapi", "shared/tracing", "shared/bff", "shared/mcpbearer",
	"shared/grpcbearer", "shared/connectbearer", "authserver",
}

// moduleProxy is a folder that the go command reads as a module proxy (https://go.dev/ref/mod#goproxy-protocol). It has
// the published modules as they would be on the branch main.
type moduleProxy struct {
	folder, version string
}

// newModuleProxy packs the published modules. Their version is new, because the go command keeps what it has read of a
// version in the module cache; the end of the test deletes that.
func newModuleProxy(t *testing.T) *moduleProxy {
	t.Helper()
	hash := make([]byte, 6)
	if _, err := rand.Read(hash); err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	p := &moduleProxy{t.TempDir(), module.PseudoVersion("v0", "", now, hex.EncodeToString(hash))}
	info := fmt.Sprintf(`{"Version":%q,"Time":%q}`, p.version, now.Format(time.RFC3339))
	cache := goEnv(t, "GOMODCACHE")
	for _, name := range published {
		if err := p.pack(name, info); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		t.Cleanup(func() { p.forget(t, cache, name) })
	}
	return p
}

// pack writes the files of a module.
func (p *moduleProxy) pack(name, info string) error {
	folder := filepath.Join(p.folder, filepath.FromSlash(project+name), "@v")
	source := filepath.Join(root, filepath.FromSlash(name))
	text, err := os.ReadFile(filepath.Join(source, "go.mod"))
	if err := errors.Join(err, os.MkdirAll(folder, 0o755)); err != nil {
		return err
	}
	archive, err := os.Create(filepath.Join(folder, p.version+".zip"))
	if err != nil {
		return err
	}
	return errors.Join(
		zip.CreateFromDir(archive, module.Version{Path: project + name, Version: p.version}, source),
		archive.Close(),
		os.WriteFile(filepath.Join(folder, p.version+".mod"), text, 0o600),
		os.WriteFile(filepath.Join(folder, p.version+".info"), []byte(info), 0o600),
		os.WriteFile(filepath.Join(folder, "main.info"), []byte(info), 0o600),
		os.WriteFile(filepath.Join(folder, "list"), nil, 0o600),
	)
}

// forget deletes a module from the module cache.
func (p *moduleProxy) forget(t *testing.T, cache, name string) {
	t.Helper()
	path := filepath.FromSlash(project + name)
	found, err := filepath.Glob(filepath.Join(cache, "cache", "download", path, "@v", p.version+".*"))
	if err != nil {
		t.Error(err)
	}
	for _, path := range append(found, filepath.Join(cache, path+"@"+p.version)) {
		if err := os.RemoveAll(path); err != nil {
			t.Error(err)
		}
	}
}

// environment returns the environment of go commands that use the proxy, and for other modules the one of the
// developer.
func (p *moduleProxy) environment(t *testing.T) []string {
	t.Helper()
	return cleanEnv(
		"GOWORK=off", "GOSUMDB=off", "GOPRIVATE=", "GONOPROXY=none", "GOFLAGS=-mod=mod -modcacherw -trimpath",
		"GOPROXY=file://"+filepath.ToSlash(p.folder)+","+goEnv(t, "GOPROXY"),
	)
}

// goEnv returns a setting of the go command.
func goEnv(t *testing.T, name string) string {
	t.Helper()
	value, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(value))
}

// requiredBy returns the version of a module in the go.mod of one of ours.
func requiredBy(t *testing.T, name, path string) string {
	t.Helper()
	line := regexp.MustCompile(`\s` + regexp.QuoteMeta(path) + ` (v\S+)`)
	found := line.FindStringSubmatch(readProject(t, name+"/go.mod"))
	if found == nil {
		t.Fatalf("%s does not require %s", name, path)
	}
	return found[1]
}

// A program outside of the repository gets the modules from a proxy, as the page "Your own API" says, and its tests use
// authtest. Each published module resolves.
func TestProgramOutside(t *testing.T) {
	longTest(t)
	t.Parallel()
	p := newModuleProxy(t)
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(filepath.Join("testdata", "outside"))); err != nil {
		t.Fatal(err)
	}
	goCommand := func(arguments ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", arguments...)
		cmd.Dir, cmd.Env = folder, p.environment(t)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(arguments, " "), err, out)
		}
	}
	edits := []string{"mod", "edit"}
	for _, name := range published {
		edits = append(edits, "-replace", project+name+"="+project+name+"@main")
	}
	for _, path := range []string{"github.com/danielgtaylor/huma/v2", "github.com/gorilla/mux"} {
		edits = append(edits, "-require", path+"@"+requiredBy(t, "resourceserver", path))
	}
	edits = append(edits, "-require", project+"shared@v0.0.0", "-require", project+"authserver@v0.0.0")
	goCommand("mod", "init", "example.com/outside")
	goCommand(edits...)
	goCommand("mod", "tidy")
	goCommand("build", "-o", filepath.Join(folder, "outside"), ".")
	goCommand("test", ".")
	for _, name := range published[:len(published)-1] { // also those that this program does not import
		goCommand("mod", "edit", "-require", project+name+"@v0.0.0")
		goCommand("build", project+name+"/...")
	}
}
