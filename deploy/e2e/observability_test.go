package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

// The tests in this file hold what is in deploy/observability, and the table of metrics in
// deploy/docs/watch.md, to what the servers serve.

const observability = "deploy/observability"

// prometheusProgram returns the path of a program of Prometheus.
func prometheusProgram(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		leftOut(t, "Prometheus is not installed")
	}
	return path
}

// family is a metric: its kind, and its labels but those that every histogram has.
type family struct {
	kind   string
	labels []string
}

var (
	typeLine   = regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`)
	sampleLine = regexp.MustCompile(`(?m)^([a-z_:]+)(?:{([^}]*)})? \S+$`)
	labelName  = regexp.MustCompile(`([a-z_]+)="`)
)

// familiesIn returns the metrics in a text of Prometheus, by name.
func familiesIn(text string) map[string]family {
	families := map[string]family{}
	for _, found := range typeLine.FindAllStringSubmatch(text, -1) {
		families[found[1]] = family{kind: found[2]}
	}
	for _, sample := range sampleLine.FindAllStringSubmatch(text, -1) {
		name := sample[1]
		if _, ok := families[name]; !ok {
			name = regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
		}
		f := families[name]
		for _, label := range labelName.FindAllStringSubmatch(sample[2], -1) {
			if l := label[1]; l != "le" && l != "quantile" && !slices.Contains(f.labels, l) {
				f.labels = append(f.labels, l)
			}
		}
		slices.Sort(f.labels)
		families[name] = f
	}
	return families
}

// ofLibraries begins the names of metrics that libraries make, of the Go runtime, the process, and the pools of
// connections. Their names are the same in every Go program, and the table has a few of them.
var ofLibraries = regexp.MustCompile(`^(go|process|promhttp)_`)

// startObserved starts both servers with a service, whose secret it returns, and a key that waits for its turn.
func startObserved(t *testing.T) (s *system, secret string) {
	t.Helper()
	s = startDemo(t)
	s.resourceserver.stop(t)
	s.startResourceserver(t, "--items-database-url", "sqlite:"+filepath.Join(t.TempDir(), "items.db"))
	secret = strings.TrimSpace(s.admin(t, "", "client", "add", "robot", "--grant", "client_credentials",
		"--scope", "items:read"))
	mustCommand(t, "", "authserver", "key", "rotate", s.keysFile)
	return s, secret
}

// busySystem starts both servers and applies a short load.
func busySystem(t *testing.T) *system {
	t.Helper()
	s, secret := startObserved(t)
	s.load(t, secret)
	return s
}

// load sends one request of each kind, and waits until the API has seen the revocation.
func (s *system) load(t *testing.T, secret string) {
	t.Helper()
	login := send(t, s.authURL, form("username", "john.doe", "password", demoPassword))
	access := login.text(t, "access_token")
	expect := func(what string, got response, status int) {
		t.Helper()
		if got.status != status {
			t.Fatalf("%s: %d %s, want %d", what, got.status, got.body, status)
		}
	}
	expect("a refresh", send(t, s.authURL, form("grant_type", "refresh_token",
		"refresh_token", login.text(t, "refresh_token"))), 200)
	expect("an unknown refresh token", send(t, s.authURL, form("grant_type", "refresh_token", "refresh_token", "x")), 400)
	expect("a wrong password", send(t, s.authURL, form("username", "john.doe", "password", "wrong")), 400)
	expect("an unknown client", send(t, s.authURL, form("client_id", "nobody")), 401)
	expect("a service", send(t, s.authURL, form("grant_type", "client_credentials", "client_id", "robot",
		"client_secret", secret)), 200)
	s.callMe(t, access, "John Doe")
	expect("no token", send(t, s.apiURL, get("/users/me")), 401)
	expect("no page", send(t, s.apiURL, get("/nowhere")), 404)
	revoke := form("token", access, "client_id", "demo")
	revoke.path = "/revoke"
	expect("revoking", send(t, s.authURL, revoke), 200)
	waitFor(t, "the API to refuse the revoked token", func() bool {
		return send(t, s.apiURL, get("/users/me", "Bearer "+access)).isInvalidToken()
	})
}

// metricsOf returns what a server serves at /metrics.
func metricsOf(t *testing.T, admin string) string {
	t.Helper()
	got := send(t, "http://"+admin, request{path: "/metrics"})
	if got.status != http.StatusOK {
		t.Fatalf("/metrics: %d", got.status)
	}
	return got.body
}

// The table of metrics in watch.md has every metric of ours, with the server and the labels that it has.
func TestMetricsTable(t *testing.T) {
	t.Parallel()
	row := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|([^|]*)\\| (both|auth|API) \\|")
	table := map[string]string{}
	for _, found := range row.FindAllStringSubmatch(readProject(t, "deploy/docs/watch.md"), -1) {
		table[found[1]] = found[3] + " " + strings.ReplaceAll(strings.TrimSpace(found[2]), "`", "")
	}
	s := busySystem(t)
	auth, api := familiesIn(metricsOf(t, s.authAdmin)), familiesIn(metricsOf(t, s.apiAdmin))
	served := map[string]string{}
	for name, f := range auth {
		served[name] = "auth " + strings.Join(f.labels, ", ")
	}
	for name, f := range api {
		server := "API "
		if _, ok := auth[name]; ok {
			server = "both "
		}
		labels := append(slices.Clone(f.labels), auth[name].labels...)
		slices.Sort(labels)
		served[name] = server + strings.Join(slices.Compact(labels), ", ")
	}
	for name, want := range served {
		got, ok := table[name]
		switch {
		case !ok && !ofLibraries.MatchString(name):
			t.Errorf("watch.md does not have %s: %s", name, want)
		case ok && strings.TrimSpace(got) != strings.TrimSpace(want):
			t.Errorf("watch.md says of %s: %s; it is: %s", name, got, want)
		}
	}
	for name := range table {
		if _, ok := served[name]; !ok {
			t.Errorf("watch.md has %s, which no server serves", name)
		}
	}
}

// The names, units and help texts of the metrics follow the conventions of Prometheus.
func TestMetricsFollowConventions(t *testing.T) {
	t.Parallel()
	promtool := prometheusProgram(t, "promtool")
	s := busySystem(t)
	for name, admin := range map[string]string{"authserver": s.authAdmin, "resourceserver": s.apiAdmin} {
		check := exec.CommandContext(t.Context(), promtool, "check", "metrics")
		check.Stdin = strings.NewReader(withoutRuntime(metricsOf(t, admin)))
		if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: promtool check metrics: %v\n%s", name, err, out)
		}
	}
}

// withoutRuntime leaves out the metrics of the Go runtime, whose names the Go library chooses.
func withoutRuntime(text string) string {
	return regexp.MustCompile(`(?m)^(# (HELP|TYPE) )?go_(gc|memstats|sched|info|threads|goroutines)\S* .*\n`).
		ReplaceAllString(text, "")
}

// The rules of the alerts are valid, and fire when they should and not before.
func TestAlertRules(t *testing.T) {
	t.Parallel()
	promtool := prometheusProgram(t, "promtool")
	for _, args := range [][]string{{"check", "rules", "alerts.yml"}, {"test", "rules", "alerts_test.yml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = filepath.Join(root, observability)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	rules, tests := readProject(t, observability+"/alerts.yml"), readProject(t, observability+"/alerts_test.yml")
	for _, found := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(rules, -1) {
		if strings.Count(tests, "alertname: "+found[1]) < 2 {
			t.Errorf("alerts_test.yml does not say when %s fires and when it does not", found[1])
		}
	}
}

// dashboard is what the tests read of a dashboard of Grafana.
type dashboard struct {
	UID    string `json:"uid"`
	Title  string `json:"title"`
	Panels []struct {
		ID          int    `json:"id"`
		Type        string `json:"type"`
		Title       string `json:"title"`
		Description string `json:"description"`
		GridPos     struct {
			X, Y, W, H int
		} `json:"gridPos"`
		Targets []struct {
			RefID      string `json:"refId"`
			Expr       string `json:"expr"`
			Datasource struct {
				UID string `json:"uid"`
			} `json:"datasource"`
		} `json:"targets"`
	} `json:"panels"`
}

// readDashboards returns the dashboards by the name of their file.
func readDashboards(t *testing.T) map[string]dashboard {
	t.Helper()
	boards := map[string]dashboard{}
	for name, text := range projectFiles(t, observability+"/grafana/dashboards/*.json") {
		var d dashboard
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		boards[name] = d
	}
	if len(boards) < 2 {
		t.Fatalf("%d dashboards, want two", len(boards))
	}
	return boards
}

// Each dashboard has a uid and a title, its panels have ids, queries and a place of their own, and use the data source
// that is provisioned.
func TestDashboardsAreComplete(t *testing.T) {
	t.Parallel()
	sources := readProject(t, observability+"/grafana/provisioning/datasources/hallpass.yml")
	for name, d := range readDashboards(t) {
		if d.UID == "" || d.Title == "" {
			t.Errorf("%s has no uid or title", name)
		}
		ids, places := map[int]bool{}, map[[2]int]string{}
		for _, p := range d.Panels {
			if p.ID == 0 || ids[p.ID] || p.Title == "" {
				t.Errorf("%s: a panel has no title or no id of its own: %+v", name, p)
			}
			ids[p.ID] = true
			if p.Type != "row" && len(p.Targets) == 0 {
				t.Errorf("%s: the panel %s has no query", name, p.Title)
			}
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					if other, ok := places[[2]int{x, y}]; ok || x >= 24 {
						t.Fatalf("%s: the panel %s is outside or on top of %q", name, p.Title, other)
					}
					places[[2]int{x, y}] = p.Title
				}
			}
			for _, q := range p.Targets {
				if !strings.Contains(sources, "uid: "+q.Datasource.UID+"\n") {
					t.Errorf("%s: the panel %s has the unknown data source %q", name, p.Title, q.Datasource.UID)
				}
			}
		}
	}
}

// Each query of the dashboards has a result in a Prometheus that scrapes both servers under load.
func TestDashboardQueries(t *testing.T) {
	t.Parallel()
	prometheus := prometheusProgram(t, "prometheus")
	boards := readDashboards(t)
	s, secret := startObserved(t)
	address, p := s.startPrometheus(t, prometheus)

	queries := map[string]string{} // by the query, where it is
	for name, d := range boards {
		for _, panel := range d.Panels {
			for _, q := range panel.Targets {
				queries[q.Expr] = filepath.Base(name) + ", " + panel.Title
			}
		}
	}
	for deadline := time.Now().Add(timeout); ; {
		s.load(t, secret)
		maps.DeleteFunc(queries, func(query, _ string) bool { return resultsOf(t, address, query) > 0 })
		if len(queries) == 0 {
			break
		}
		if !p.running() || time.Now().After(deadline) {
			t.Fatalf("these queries have no result: %v", queries)
		}
	}
}

// startPrometheus starts a Prometheus that scrapes both servers every second, with our rules, and waits until it has.
func (s *system) startPrometheus(t *testing.T, program string) (address string, p *process) {
	t.Helper()
	dir := t.TempDir()
	rules, err := filepath.Abs(filepath.Join(root, observability, "alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [%s]\nscrape_configs:\n"+
		"  - {job_name: authserver, static_configs: [{targets: [%q]}]}\n"+
		"  - {job_name: resourceserver, static_configs: [{targets: [%q]}]}\n", rules, s.authAdmin, s.apiAdmin)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	address = "http://" + freeAddresses(t, 1)[0]
	cmd := exec.Command(program, "--config.file", config, "--storage.tsdb.path", filepath.Join(dir, "data"),
		"--web.listen-address", strings.TrimPrefix(address, "http://"), "--enable-feature=exemplar-storage")
	p = launch(t, "prometheus", cmd)
	waitFor(t, "Prometheus to scrape both servers", func() bool {
		got, err := try(context.Background(), address, request{path: "/-/ready"})
		return err == nil && got.status == http.StatusOK && resultsOf(t, address, "up == 1") == 2
	}, p)
	return address, p
}

// resultsOf returns how many series a query of a dashboard has.
func resultsOf(t *testing.T, address, query string) int {
	t.Helper()
	query = strings.ReplaceAll(query, "$__rate_interval", "10s")
	got := send(t, address, request{path: "/api/v1/query?" + url.Values{"query": {query}}.Encode()})
	var answer struct {
		Data struct {
			Result []json.RawMessage `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(got.body), &answer); err != nil || got.status != http.StatusOK {
		t.Fatalf("the query %s: %d %s (%v)", query, got.status, got.body, err)
	}
	return len(answer.Data.Result)
}

// No label has what clients send, so that they cannot make any number of series.
func TestMetricsHaveBoundedLabels(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	var sending sync.WaitGroup
	for i := range 20 {
		sending.Go(func() {
			invented := fmt.Sprintf("invented-%d", i)
			for _, r := range []request{
				form("grant_type", invented), form("client_id", invented), form("username", invented, "password", invented),
				form("grant_type", "refresh_token", "refresh_token", invented), {path: "/" + invented},
				{method: strings.ToUpper(invented), path: "/token"},
			} {
				if _, err := try(t.Context(), s.authURL, r); err != nil {
					t.Error(err)
				}
			}
		})
	}
	sending.Wait()
	text := metricsOf(t, s.authAdmin)
	if strings.Contains(text, "invented") || strings.Contains(text, "INVENTED") {
		t.Errorf("a label has what a client sent:\n%s", text)
	}
}

// Grafana's login works as far as Hallpass is concerned: a client with the settings of Grafana in docker-compose.yml,
// registered by the commands of watch.md, gets the claims that these settings name.
func TestGrafanaLogin(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	settings := map[string]string{}
	setting := regexp.MustCompile(`(?m)^ +GF_AUTH_GENERIC_OAUTH_([A-Z_]+): (.*)$`)
	for _, found := range setting.FindAllStringSubmatch(readProject(t, "docker-compose.yml"), -1) {
		settings[found[1]] = strings.Trim(found[2], `"`)
	}
	secret := strings.TrimSpace(s.dockerCommand(t, "client add grafana"))
	s.dockerCommand(t, "user set ada")

	config := s.goConfig(settings["CLIENT_ID"], secret)
	config.RedirectURL = "http://127.0.0.1:3000/login/generic_oauth"
	config.Scopes = strings.Fields(settings["SCOPES"])
	config.Endpoint.AuthURL = strings.Replace(settings["AUTH_URL"], "${HALLPASS_AUTH_URL:-http://127.0.0.1:9000}", s.authURL, 1)
	config.Endpoint.TokenURL = strings.Replace(settings["TOKEN_URL"], "http://authserver:9000", s.authURL, 1)
	userinfo := strings.Replace(settings["API_URL"], "http://authserver:9000", s.authURL, 1)
	verifier := oauth2.GenerateVerifier()
	callback := s.goAuthorize(t, newPerson(t, "john.doe", demoPassword), config, "allow", verifier)
	token, err := config.Exchange(t.Context(), callback.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	got := send(t, userinfo, get("", "Bearer "+token.AccessToken)).members(t)
	for name, want := range map[string]string{
		"LOGIN_ATTRIBUTE_PATH": "john.doe", "NAME_ATTRIBUTE_PATH": "John Doe", "EMAIL_ATTRIBUTE_PATH": "ada@example.com",
	} {
		if got[settings[name]] != want {
			t.Errorf("%s: %v, want %s", name, got[settings[name]], want)
		}
	}
	groups, _ := got["groups"].([]any)
	if len(groups) != 1 || !strings.Contains(settings["ROLE_ATTRIBUTE_PATH"], fmt.Sprintf("'%v'", groups[0])) {
		t.Errorf("the groups %v are not those of the role %s", groups, settings["ROLE_ATTRIBUTE_PATH"])
	}
}

// dockerCommand runs the command of watch.md that begins so, without Docker and for john.doe, and returns its output.
func (s *system) dockerCommand(t *testing.T, beginning string) string {
	t.Helper()
	const inContainer = "docker compose exec -T authserver "
	_, rest, found := strings.Cut(readProject(t, "deploy/docs/watch.md"), inContainer+"authserver "+beginning)
	if !found {
		t.Fatalf("watch.md has no command %s", beginning)
	}
	line, _, _ := strings.Cut(strings.ReplaceAll(rest, "\\\n", ""), "\n")
	script := "authserver " + strings.Replace(beginning, " ada", " john.doe", 1) + line
	shell := exec.CommandContext(t.Context(), "sh", "-eu", "-c", script)
	shell.Env = cleanEnv("PATH="+bin+":"+os.Getenv("PATH"), "HALLPASS_DATABASE_URL="+s.database)
	out, err := shell.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}
