package kubernetes_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
)

var (
	helpSetting = regexp.MustCompile(`\$(HALLPASS_[A-Z_]+)\)`)
	helpFlag    = regexp.MustCompile(`--([a-z][a-z-]+)`)
)

// programs returns the folder of the two programs: HALLPASS_BIN, or a new one.
var programs = sync.OnceValues(func() (string, error) {
	if given := os.Getenv("HALLPASS_BIN"); given != "" {
		return given, nil
	}
	dir, err := os.MkdirTemp("", "hallpass")
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-o", dir+"/",
		"github.com/hallpass-auth/hallpass/authserver/cmd/authserver",
		"github.com/hallpass-auth/hallpass/resourceserver/cmd/resourceserver")
	build.Dir = "../.."
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	return dir, build.Run()
})

// help returns what a command prints with --help, without line breaks.
func help(t *testing.T, program string, command ...string) string {
	t.Helper()
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, program)
	out, err := exec.CommandContext(t.Context(), path, append(command, "--help")...).Output()
	if err != nil {
		t.Fatalf("%s %v: %v", path, command, err)
	}
	return strings.Join(strings.Fields(string(out)), " ")
}

// found returns the first group of all matches, sorted and once each.
func found(pattern *regexp.Regexp, text string) (all []string) {
	for _, match := range pattern.FindAllStringSubmatch(text, -1) {
		all = append(all, match[1])
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// TestSettingsExist compares the variables and flags of all pods with what their command knows.
func TestSettingsExist(t *testing.T) {
	eachFile(t, func(t *testing.T, objects []any) {
		for _, p := range pods(t, objects) {
			c := p.container(t)
			command := slices.DeleteFunc(slices.Clone(c.Args), func(arg string) bool { return strings.HasPrefix(arg, "-") })
			if command[0] == "key" {
				command = command[:2] // without the names of Secrets
			}
			program := "authserver"
			if c.Name == "resourceserver" {
				program = c.Name
			}
			text := help(t, program, command...)
			known, flags := found(helpSetting, text), found(helpFlag, text)
			for name := range environment(p, t) {
				if !slices.Contains(known, name) {
					t.Errorf("%s: %s %v does not know %s", p.owner, program, command, name)
				}
			}
			for _, arg := range c.Args {
				flag, isFlag := strings.CutPrefix(arg, "--")
				flag, _, _ = strings.Cut(flag, "=")
				if isFlag && !slices.Contains(flags, flag) {
					t.Errorf("%s: %s %v does not know --%s", p.owner, program, command, flag)
				}
			}
		}
	})
}

// notInSettings are the settings that the chart makes itself or that are for a machine of a developer, by server.
var notInSettings = map[string][]string{
	"authserver": {
		"HALLPASS_DATABASE_PASSWORD_FILE", "HALLPASS_DATABASE_URL", "HALLPASS_MAIL_FROM",
		"HALLPASS_REGISTRATION_TOKEN_FILE", "HALLPASS_SMTP_PASSWORD_FILE", "HALLPASS_SMTP_URL",
		// For demos and tests on one machine.
		"HALLPASS_DEMO", "HALLPASS_INSECURE_FETCH_FROM", "HALLPASS_MAIL_INBOX",
		// Folders: the chart mounts none.
		"HALLPASS_MAIL_TEMPLATES", "HALLPASS_THEME_DIR",
		// The servers and the migration Job of the chart have one role in the database.
		"HALLPASS_MIGRATE_DATABASE_PASSWORD_FILE", "HALLPASS_MIGRATE_DATABASE_URL",
	},
	"resourceserver": {
		"HALLPASS_DPOP_NONCE_SECRET", "HALLPASS_ITEMS_DATABASE_PASSWORD_FILE", "HALLPASS_ITEMS_DATABASE_URL",
		"HALLPASS_KEYS_URL", "HALLPASS_STATUS_LISTS_URL",
	},
	"both": {
		"HALLPASS_ADMIN_LISTEN", "HALLPASS_AUDIENCE", "HALLPASS_DRAIN_DELAY", "HALLPASS_ISSUER", "HALLPASS_KEYS_FILE",
		"HALLPASS_LISTEN", "HALLPASS_LOG_FORMAT", "HALLPASS_LOG_LEVEL", "HALLPASS_OTLP_ENDPOINT",
		"HALLPASS_STOP_TIMEOUT", "HALLPASS_TRUSTED_PROXIES",
		// It would be in the manifest for all to read.
		"HALLPASS_TOKEN_SECRET",
	},
}

// TestSchemaKnowsTheSettings compares what values.schema.json accepts as settings with what the servers know. A new
// setting must be added to the schema, or above.
func TestSchemaKnowsTheSettings(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(chartDir, "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	type tier struct {
		Properties struct {
			Settings struct {
				PropertyNames struct {
					Enum []string `json:"enum"`
				} `json:"propertyNames"`
			} `json:"settings"`
		} `json:"properties"`
	}
	var schema struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"authserver", "resourceserver"} {
		var of tier
		if err := json.Unmarshal(schema.Properties[program], &of); err != nil {
			t.Fatal(err)
		}
		got := slices.Concat(of.Properties.Settings.PropertyNames.Enum, notInSettings[program], notInSettings["both"])
		slices.Sort(got)
		if want := found(helpSetting, help(t, program, "serve")); !slices.Equal(got, want) {
			t.Errorf("settings of %s:\n%q\nwant, from its help:\n%q", program, got, want)
		}
	}
}

// TestServersHaveTheirSettings checks values that are easy to get wrong.
func TestServersHaveTheirSettings(t *testing.T) {
	objects := render(t, "testdata/values/everything.yaml")
	const (
		authority = "sslrootcert=/etc/hallpass/database-ca/ca.crt"
		primary   = "hallpass?sslmode=verify-full&target_session_attrs=read-write&" + authority
	)
	for owner, want := range map[string]map[string]string{
		name + "-authserver": {
			"HALLPASS_ISSUER":             "https://login.example.com",
			"HALLPASS_DATABASE_URL":       "postgres://hallpass@" + name + "-users-rw/" + primary,
			"HALLPASS_TRUSTED_PROXIES":    "10.244.0.0/16,fd00:10:244::/56",
			"HALLPASS_BCRYPT_COST":        "13",
			"HALLPASS_DRAIN_DELAY":        "15s",
			"HALLPASS_REGISTRATION":       "token",
			"HALLPASS_SMTP_PASSWORD_FILE": "/etc/hallpass/mail/password",
			"HALLPASS_ALLOWED_ORIGINS":    "", // everything.yaml turns the docs page off
		},
		name + "-resourceserver": {
			"HALLPASS_AUDIENCE":           "https://api.example.com",
			"HALLPASS_DOCS":               "false",
			"HALLPASS_ITEMS_DATABASE_URL": "postgres://hallpass@" + name + "-items-rw/" + primary,
			"HALLPASS_STATUS_LISTS_URL":   "http://" + name + "-authserver:9000/status-lists",
		},
	} {
		got := environment(podNamed(t, objects, owner), t)
		for setting, value := range want {
			if got[setting].Value != value {
				t.Errorf("%s: %s is %q, want %q", owner, setting, got[setting].Value, value)
			}
		}
	}
}

// TestSettingsAreText checks how values that are no strings in YAML reach the servers.
func TestSettingsAreText(t *testing.T) {
	objects := renderChanged(t, "testdata/values/minimal.yaml", `{authserver: {settings: {
		HALLPASS_MAX_CONNECTIONS: 1000000, HALLPASS_SIGNUP: off, HALLPASS_REGISTRATION: off,
		HALLPASS_CLIENT_DOCUMENTS: off, HALLPASS_ADMIN_CONSOLE: off, HALLPASS_PPROF: true, HALLPASS_BCRYPT_COST: 12,
		HALLPASS_SECOND_FACTOR: required}}, resourceserver: {settings: {HALLPASS_MAX_CONNECTIONS: 25000000}}}`)
	got := environment(podNamed(t, objects, name+"-authserver"), t)
	for setting, want := range map[string]string{
		"HALLPASS_MAX_CONNECTIONS": "1000000", "HALLPASS_SIGNUP": "off", "HALLPASS_REGISTRATION": "off",
		"HALLPASS_CLIENT_DOCUMENTS": "off", "HALLPASS_ADMIN_CONSOLE": "false", "HALLPASS_PPROF": "true",
		"HALLPASS_BCRYPT_COST": "12", "HALLPASS_SECOND_FACTOR": "required",
	} {
		if got[setting].Value != want {
			t.Errorf("%s is %q, want %q", setting, got[setting].Value, want)
		}
	}
	api := environment(podNamed(t, objects, name+"-resourceserver"), t)
	if got := api["HALLPASS_MAX_CONNECTIONS"].Value; got != "25000000" {
		t.Errorf("HALLPASS_MAX_CONNECTIONS of the API is %q", got)
	}
}

// TestDatabaseURLs checks URLs of databases elsewhere: the chart adds what they lack.
func TestDatabaseURLs(t *testing.T) {
	for url, want := range map[string]string{
		"postgres://u@h/d":                          "?target_session_attrs=read-write",
		"postgres://u@h/d?sslmode=disable":          "&target_session_attrs=read-write",
		"postgres://u@h/d?target_session_attrs=any": "",
	} {
		objects := renderChanged(t, "testdata/values/external.yaml",
			"{authserver: {database: {caSecret: {name: ''}, url: '"+url+"'}}}")
		for _, owner := range []string{name + "-authserver", name + "-migration"} {
			if got := environment(podNamed(t, objects, owner), t)["HALLPASS_DATABASE_URL"].Value; got != url+want {
				t.Errorf("%s: the URL is %q, want %q", owner, got, url+want)
			}
		}
	}
	objects := render(t, "testdata/values/external.yaml")
	for owner, want := range map[string]struct{ setting, url string }{
		name + "-authserver": {
			"HALLPASS_DATABASE_URL", "postgres://hallpass@db1.example.com,db2.example.com/hallpass" +
				"?sslmode=verify-full&target_session_attrs=read-write&sslrootcert=/etc/hallpass/database-ca/ca.crt",
		},
		name + "-resourceserver": {
			"HALLPASS_ITEMS_DATABASE_URL", "postgres://items@items.example.com/items" +
				"?sslmode=verify-full&sslrootcert=system&target_session_attrs=read-write",
		},
	} {
		if got := environment(podNamed(t, objects, owner), t)[want.setting].Value; got != want.url {
			t.Errorf("%s is %q, want %q", want.setting, got, want.url)
		}
	}
}

// TestReplicaHasTheAuthority checks the URL of a replica: its certificate is from the authority of the database, and it
// cannot be written.
func TestReplicaHasTheAuthority(t *testing.T) {
	const authority = "sslrootcert=/etc/hallpass/database-ca/ca.crt"
	for url, want := range map[string]string{
		"postgres://u@r/d":                     "?" + authority,
		"postgres://u@r/d?sslmode=verify-full": "&" + authority,
		"postgres://u@r/d?sslrootcert=system":  "",
		"postgres://u@r/d?" + authority:        "",
		"":                                     "",
	} {
		for _, file := range []string{"minimal", "external"} {
			objects := renderChanged(t, "testdata/values/"+file+".yaml", replicaAt(url))
			got := environment(podNamed(t, objects, name+"-authserver"), t)["HALLPASS_DATABASE_REPLICA_URL"].Value
			if got != url+want {
				t.Errorf("%s: the URL is %q, want %q", file, got, url+want)
			}
		}
	}
	const url = "postgres://u@r/d"
	objects := renderChanged(t, "testdata/values/external.yaml", "{authserver: {database: {caSecret: {name: ''}}, "+
		"settings: {HALLPASS_DATABASE_REPLICA_URL: '"+url+"'}}}")
	got := environment(podNamed(t, objects, name+"-authserver"), t)["HALLPASS_DATABASE_REPLICA_URL"].Value
	if got != url {
		t.Errorf("without an authority, the URL is %q, want %q", got, url)
	}
}

// TestDocsPageMayGetTokens checks that the authorization server lets scripts of the API's docs page call it, unless the
// page is off or the operator has set the origins.
func TestDocsPageMayGetTokens(t *testing.T) {
	const setting = "HALLPASS_ALLOWED_ORIGINS"
	for changes, want := range map[string]string{
		"{}": "https://api.example.com",
		"{resourceserver: {settings: {HALLPASS_DOCS: true}}}":                                   "https://api.example.com",
		"{resourceserver: {settings: {HALLPASS_PUBLIC_URL: 'https://Example.com:443/api/'}}}":   "https://example.com",
		"{resourceserver: {settings: {HALLPASS_PUBLIC_URL: 'https://example.com:8443'}}}":       "https://example.com:8443",
		"{resourceserver: {settings: {HALLPASS_DOCS: false}}}":                                  "",
		"{resourceserver: {settings: {HALLPASS_DOCS: 'False'}}}":                                "",
		"{resourceserver: {settings: {HALLPASS_DOCS: 0}}}":                                      "",
		"{authserver: {settings: {HALLPASS_ALLOWED_ORIGINS: 'https://app.example.com'}}}":       "https://app.example.com",
		"{authserver: {settings: {HALLPASS_ALLOWED_ORIGINS: ''}}}":                              "",
		"{resourceserver: {settings: {HALLPASS_ALLOWED_ORIGINS: 'https://other.example.com'}}}": "https://api.example.com",
	} {
		objects := renderChanged(t, "testdata/values/minimal.yaml", changes)
		if got := environment(podNamed(t, objects, name+"-authserver"), t)[setting].Value; got != want {
			t.Errorf("%s: %s is %q, want %q", changes, setting, got, want)
		}
	}
}

// TestRefreshGraceIsLongerThanAFailover checks the grace period with a cluster that fails over, and that a setting
// of the operator wins.
func TestRefreshGraceIsLongerThanAFailover(t *testing.T) {
	for changes, want := range map[string]string{
		"{}": "1m",
		"{authserver: {database: {cluster: {instances: 1}}}}":               "",
		"{authserver: {settings: {HALLPASS_REFRESH_GRACE: 90s}}}":           "90s",
		"{authserver: {settings: {HALLPASS_BCRYPT_COST: 12}}}":              "1m",
		"{resourceserver: {items: {database: {cluster: {enabled: true}}}}}": "1m",
	} {
		objects := renderChanged(t, "testdata/values/minimal.yaml", changes)
		if got := environment(podNamed(t, objects, name+"-authserver"), t)["HALLPASS_REFRESH_GRACE"].Value; got != want {
			t.Errorf("%s: HALLPASS_REFRESH_GRACE is %q, want %q", changes, got, want)
		}
	}
	outside := environment(podNamed(t, render(t, "testdata/values/external.yaml"), name+"-authserver"), t)
	if got, ok := outside["HALLPASS_REFRESH_GRACE"]; ok {
		t.Errorf("with a database elsewhere, HALLPASS_REFRESH_GRACE is %q", got.Value)
	}
}

// TestAutoscalersScaleTheirDeployment checks the targets, and that no Deployment with an autoscaler fixes its replicas.
func TestAutoscalersScaleTheirDeployment(t *testing.T) {
	eachFile(t, func(t *testing.T, objects []any) {
		scaled := autoscalers(t, objects)
		for _, d := range of[*appsv1.Deployment](objects) {
			if scaled[d.Name] != (d.Spec.Replicas == nil) {
				t.Errorf("%s: autoscaler %v, replicas %v", d.Name, scaled[d.Name], d.Spec.Replicas)
			}
			delete(scaled, d.Name)
		}
		if len(scaled) != 0 {
			t.Errorf("autoscalers of nothing: %v", scaled)
		}
	})
}
