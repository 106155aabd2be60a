package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/webhook"
)

// unaudited are the commands that leave no record, and why.
var unaudited = map[string]string{
	"serve": "runs", "healthcheck": "reads", "version": "reads", "doctor": "reads", "export": "reads",
	"user list": "reads", "user show": "reads", "user invitations": "reads", "client list": "reads",
	"client show": "reads", "api list": "reads", "scope list": "reads", "consent list": "reads", "mail list": "reads",
	"audit list": "reads", "audit show": "reads", "audit export": "reads", "audit verify": "reads",
	"webhook list": "reads", "webhook dead": "reads", "key list": "reads", "key export": "reads",
	"backup": "reads", "copy": "copies the log itself", "migrate": "changes no data",
	"init": "no database", "key init": "no database", "key rotate": "no database", "key rotate-secret": "no database",
	"restore": "replaces the database: the script restore.txt looks for database_restored",
}

// auditedCommands has a call of each other command, in an order in which all succeed, and the event that it leaves.
var auditedCommands = []struct {
	command, args, stdin, event string
}{
	{"user add", "new", "several words are a password", "user_added"},
	{"user add", "boss --group admins", "several words are a password", "user_enrol_link_made"},
	{"user set", "new --email new@example.com", "", "user_changed"},
	{"user set", "new --verify-email", "", "user_email_link_requested"},
	{"user set", "new --remove-second-factors", "", "user_second_factors_removed"},
	{"user set", "boss --enrol-link", "", "user_enrol_link_made"},
	{"user set-password", "new", "several other words are a password", "user_password_set"},
	{"user logout", "new", "", "user_logged_out"},
	{"user disable", "new", "", "user_disabled"},
	{"user enable", "new", "", "user_enabled"},
	{"user import", "users.jsonl", "", "users_imported"},
	{"user invite", "guest@example.com", "", "invitation_made"},
	{"user invite", "guest@example.com --withdraw", "", "invitation_withdrawn"},
	{"client add", "app --grant client_credentials --scope profile", "", "client_added"},
	{"client set", "app --name App", "", "client_changed"},
	{"client rotate-secret", "app --keep-old 1h", "", "client_secret_added"},
	{"client end-old-secret", "app", "", "client_old_secret_ended"},
	{"client rotate-secret", "app", "", "client_secret_set"},
	{"client rotate-secret", "app --revoke", "", "client_secret_replaced"},
	{"consent revoke", "new app", "", "consent_revoked"},
	{"client delete", "app", "", "client_deleted"},
	{"api add", "https://api.example --scope x", "", "api_added"},
	{"api set", "https://api.example --name API", "", "api_changed"},
	{"api delete", "https://api.example", "", "api_deleted"},
	{"scope describe", "x Reads", "", "scope_described"},
	{"scope forget", "x", "", "scope_forgotten"},
	{"apply", "-f config.yaml", "", "client_added"},
	{"webhook add", "http://127.0.0.1:9/hook --insecure-fetch-from 127.0.0.1:9", "", "webhook_added"},
	{"webhook retry", "hook", "", "webhook_retried"},
	{"webhook delete", "hook", "", "webhook_deleted"},
	{"user delete", "new", "", "user_deleted"},
}

// Each command that changes the database leaves a record of who has run it. A new command needs a call above.
func TestEveryCommandIsAudited(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	writeAll(t, map[string]string{
		"users.jsonl": `{"username":"imported"}`,
		"config.yaml": "clients:\n  - id: applied\n    public: true\n    grant_types: [device_code]\n    scopes: [profile]\n",
	})
	t.Setenv("HALLPASS_DATABASE_URL", "sqlite:"+filepath.Join(dir, "test.db"))
	t.Setenv("HALLPASS_BCRYPT_COST", "10")
	t.Setenv("HALLPASS_TOKEN_SECRET", strings.Repeat("0123456789abcdef", 4))
	waited := waitForServers
	waitForServers = func(context.Context) {}
	t.Cleanup(func() { waitForServers = waited })
	run(t, "migrate", "", "")
	data, err := store.Open(t.Context(), os.Getenv("HALLPASS_DATABASE_URL"), databasetest.Pool)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = data.Close() })

	left := leaves(t)
	for _, c := range auditedCommands {
		prepareCommand(t, data, c.command)
		before := len(recordsOf(t, data, c.event))
		run(t, c.command, c.args, c.stdin)
		left = slices.DeleteFunc(left, func(name string) bool { return name == c.command })
		found := recordsOf(t, data, c.event)
		want := audit.ActorFrom(asCommand(t.Context()))
		if c.command == "consent revoke" {
			want.ClientID = "app" // that it was about
		}
		if len(found) != before+1 || found[len(found)-1].Actor != want || want.ID == "" {
			t.Errorf("%s %s: the records of %s are %+v, want one more, by %+v", c.command, c.args, c.event, found, want)
		}
	}
	for _, name := range left {
		if unaudited[name] == "" {
			t.Errorf("%s: add a call of it, and the event that it leaves", name)
		}
	}
}

// leaves returns the names of all commands.
func leaves(t *testing.T) (names []string) {
	t.Helper()
	parser, err := kong.New(&commands{}, kong.Vars(server.Defaults))
	if err != nil {
		t.Fatal(err)
	}
	for _, leaf := range parser.Model.Leaves(false) {
		name := leaf.Name
		for n := leaf.Parent; n.Type == kong.CommandNode; n = n.Parent {
			name = n.Name + " " + name
		}
		names = append(names, name)
	}
	return names
}

// prepareCommand makes what a command needs that no other command makes.
func prepareCommand(t *testing.T, data *store.Store, command string) {
	t.Helper()
	ctx, now := t.Context(), time.Now()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	switch command {
	case "consent revoke":
		u, err := data.UserByUsername(ctx, "new")
		check(err)
		check(data.AddConsent(ctx, u.ID, "app", "", oauth.Scope{"profile"}, now))
	case "webhook retry":
		check(data.AddWebhook(ctx, webhook.Webhook{ID: "hook", URL: "https://hook.example", CreatedAt: now}))
		check(data.Record(ctx, audit.Event{Name: "test", At: now}))
		_, err := data.SealAudit(ctx, 200)
		check(err)
		taken, err := data.TakeDeliveries(ctx, "hook", now.Add(time.Hour), now.Add(2*time.Hour), 1)
		check(err)
		check(data.PostponeDelivery(ctx, taken[0], time.Time{}, false))
	}
}

// run runs a command, which must succeed.
func run(t *testing.T, command, args, stdin string) {
	t.Helper()
	p := program.Program{Name: "authserver", Commands: &commands{}, Vars: server.Defaults, Context: asCommand}
	var out, errs bytes.Buffer
	code := p.Main(strings.Fields(command+" "+args), program.Streams{In: strings.NewReader(stdin), Out: &out, Err: &errs})
	if code != program.ExitOK {
		t.Fatalf("%s %s: exit code %d: %s", command, args, code, errs.String())
	}
}

func writeAll(t *testing.T, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// recordsOf returns the records of an event, oldest first.
func recordsOf(t *testing.T, data *store.Store, event string) []audit.Record {
	t.Helper()
	records, err := data.AuditRecords(t.Context(), audit.Filter{Event: event}, audit.Page{OldestFirst: true})
	if err != nil {
		t.Fatal(err)
	}
	return records
}
