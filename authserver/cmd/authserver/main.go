// Command authserver is the OAuth 2.0 authorization server of Hallpass. It authenticates users and
// issues access tokens. See --help for its commands and settings.
package main

import (
	"os"

	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/server"
)

const description = `The OAuth 2.0 authorization server of Hallpass.

Commands work on the database of --database-url. Set HALLPASS_DATABASE_URL once instead of repeating it.

Exit codes: 0 success, 1 failure, 2 wrong command line or setting, 3 not found, 4 already exists.`

// commands is the command line. kong parses it.
type commands struct {
	Serve       serveCommand               `cmd:"" help:"Run the server until SIGTERM or Ctrl-C."`
	User        userCommands               `cmd:"" help:"Manage users."`
	Client      clientCommands             `cmd:"" help:"Manage clients: the apps and services that request tokens."`
	API         apiCommands                `cmd:"" name:"api" help:"Manage the APIs that tokens are for."`
	Scope       scopeCommands              `cmd:"" help:"Manage the descriptions of scopes on the consent page."`
	Consent     consentCommands            `cmd:"" help:"List and revoke what users have allowed clients."`
	Apply       applyCommand               `cmd:"" help:"Change clients, APIs and scopes to match files."`
	Export      exportCommand              `cmd:"" help:"Print clients, APIs and scopes as a file for apply."`
	Mail        mailCommands               `cmd:"" help:"Show emails that were kept instead of sent."`
	Audit       auditCommands              `cmd:"" help:"Read and verify the audit log: what people and administrators have done."`
	Webhook     webhookCommands            `cmd:"" help:"Manage webhooks: programs that get what the audit log records."`
	Key         keyCommands                `cmd:"" help:"Manage signing keys."`
	Init        initCommand                `cmd:"" help:"Create the secrets for a first start, unless they exist."`
	Backup      backupCommand              `cmd:"" help:"Copy the SQLite database to a file, even while servers run."`
	Restore     restoreCommand             `cmd:"" help:"Restore the database from an older copy: end all earlier logins and tokens."`
	Copy        copyCommand                `cmd:"" help:"Copy a SQLite database to PostgreSQL, and compare all rows."`
	Migrate     migrateCommand             `cmd:"" help:"Create the database if it does not exist, and update its schema. serve does this too."`
	Doctor      doctorCommand              `cmd:"" help:"Check both servers as a client sees them, and say what to change."`
	Healthcheck program.HealthcheckCommand `cmd:"" help:"Check whether a running server is ready."`
	Version     program.VersionCommand     `cmd:"" help:"Print the version."`
}

func main() {
	p := program.Program{
		Name: "authserver", Description: description, Commands: &commands{}, Vars: server.Defaults, Context: asCommand,
	}
	os.Exit(p.Main(os.Args[1:], program.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
