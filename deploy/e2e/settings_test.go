package e2e_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The settings of the servers are named in several places: the programs' own help, the
// compose files, .env.example and the documentation. These tests compare them. The table
// of settings in deploy/docs is compared with the help in readme_test.go.

var (
	settingName = regexp.MustCompile(`HALLPASS_[A-Z]+(?:_[A-Z]+)*`)
	// In the help, a setting ends with its default, if it has one, and its variable.
	helpEntry = regexp.MustCompile(`(?:\(([^()]*)\) )?\(\$(HALLPASS_[A-Z_]+)\)`)
	// In a compose file: ${NAME:-default}, ${NAME-default} or ${NAME:?message}.
	interpolation = regexp.MustCompile(`\$\{([A-Z_]+)(?::?-([^}]*)|:\?[^}]*)\}`)
	// In a compose file, a setting of a service, which may have no value.
	environmentEntry = regexp.MustCompile(`^ +(HALLPASS_[A-Z_]+|REPLICAS_EXTRA):(.*)$`)
	composeSection   = regexp.MustCompile(`^(?:  )?([a-z-]+):`)
	exampleLine      = regexp.MustCompile(`(?m)^#([A-Z][A-Z_]+)=(.*)$`)
)

// commandSetting is a setting of commands, and of no server.
const commandSetting = "HALLPASS_API_KEYS_FILE"

// developerVariables are for tests and scripts. They are not settings of a program.
var developerVariables = []string{"HALLPASS_BIN", "HALLPASS_TEST_POSTGRES"}

// dependsOnMachine is a setting whose default is the number of CPUs.
const dependsOnMachine = "HALLPASS_PASSWORD_WORKERS"

// readProject returns a file of the project.
func readProject(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// projectFiles returns the files of the project that match the patterns, by name.
func projectFiles(t *testing.T, patterns ...string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, pattern := range patterns {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			name, err := filepath.Rel(root, path)
			if err != nil {
				t.Fatal(err)
			}
			files[name] = readProject(t, name)
		}
	}
	return files
}

// serverSettings returns the settings of a program with their defaults, by variable.
func serverSettings(t *testing.T, program string) map[string]string {
	t.Helper()
	help := strings.Join(strings.Fields(mustCommand(t, "", program, "serve", "--help")), " ")
	settings := map[string]string{}
	for _, found := range helpEntry.FindAllStringSubmatch(help, -1) {
		value := found[1]
		if value == "on by default" {
			value = "true"
		}
		settings[found[2]] = value
	}
	if len(settings) < 10 {
		t.Fatalf("%s serve --help names only %d settings", program, len(settings))
	}
	return settings
}

// allSettings returns the settings of both programs with their defaults: two where the
// programs have different ones.
func allSettings(t *testing.T) map[string][]string {
	t.Helper()
	settings := map[string][]string{}
	for _, program := range []string{"authserver", "resourceserver"} {
		for name, value := range serverSettings(t, program) {
			if !slices.Contains(settings[name], value) {
				settings[name] = append(settings[name], value)
			}
		}
	}
	return settings
}

// composeVariables returns the variables that docker-compose.yml reads, with their
// defaults. Those that it passes on to a server have the server's default.
func composeVariables(t *testing.T) map[string]string {
	t.Helper()
	text := readProject(t, "docker-compose.yml")
	variables := map[string]string{}
	for _, found := range interpolation.FindAllStringSubmatch(text, -1) {
		if before, ok := variables[found[1]]; ok && before != found[2] {
			t.Errorf("docker-compose.yml has two defaults for %s: %q and %q", found[1], before, found[2])
		}
		variables[found[1]] = found[2]
	}
	settings := allSettings(t)
	for line := range strings.Lines(text) {
		found := environmentEntry.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if found != nil && strings.TrimSpace(found[2]) == "" {
			variables[found[1]] = strings.Join(settings[found[1]], " and ")
		}
	}
	return variables
}

// Each name that looks like a setting is one: of a program, of docker-compose.yml, or of
// the tests.
func TestSettingsExist(t *testing.T) {
	t.Parallel()
	known := append(slices.Collect(maps.Keys(allSettings(t))), slices.Collect(maps.Keys(composeVariables(t)))...)
	known = append(known, append(developerVariables, commandSetting)...)
	files := projectFiles(t, "*.md", ".env.example", "docker-compose.yml", "deploy/docs/*.md",
		"deploy/compose/*.yml", "deploy/*.sh", "deploy/Caddyfile", "deploy/Dockerfile")
	for file, text := range files {
		for _, name := range settingName.FindAllString(text, -1) {
			if !slices.Contains(known, name) {
				t.Errorf("%s names %s, which does not exist", file, name)
			}
		}
	}
}

// docker-compose.yml gives each server only settings that it has.
func TestComposeSettingsExist(t *testing.T) {
	t.Parallel()
	auth, api := serverSettings(t, "authserver"), serverSettings(t, "resourceserver")
	auth[commandSetting] = "" // its commands run in the same container
	servers := map[string][]map[string]string{
		"x-database": {auth}, "x-settings": {auth, api}, "authserver": {auth}, "resourceserver": {api},
	}
	section, checked := "", 0
	for line := range strings.Lines(readProject(t, "docker-compose.yml")) {
		if found := composeSection.FindStringSubmatch(line); found != nil {
			section = found[1]
		}
		found := environmentEntry.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if found == nil {
			continue
		}
		for _, settings := range servers[section] {
			checked++
			if _, ok := settings[found[1]]; !ok {
				t.Errorf("docker-compose.yml, %s: the server has no setting %s", section, found[1])
			}
		}
	}
	if checked < 20 {
		t.Errorf("%d settings checked: the test does not understand docker-compose.yml", checked)
	}
}

// .env.example has every variable that docker-compose.yml reads, with its default, and
// no other.
func TestEnvExample(t *testing.T) {
	t.Parallel()
	examples := map[string][]string{}
	for _, found := range exampleLine.FindAllStringSubmatch(readProject(t, ".env.example"), -1) {
		examples[found[1]] = append(examples[found[1]], found[2])
	}
	variables := composeVariables(t)
	for name, value := range variables {
		switch values, ok := examples[name]; {
		case !ok:
			t.Errorf(".env.example does not have %s, which docker-compose.yml reads", name)
		case !slices.Contains(values, value) && name != dependsOnMachine:
			t.Errorf(".env.example has %s=%s, but the default is %q", name, values[0], value)
		}
	}
	for name := range examples {
		if _, ok := variables[name]; !ok && !strings.HasPrefix(name, "COMPOSE_") {
			t.Errorf(".env.example has %s, which docker-compose.yml does not read", name)
		}
	}
}
