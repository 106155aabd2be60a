// Command authserver is the OAuth 2.0 authorization server of Hallpass: it checks
// passwords and issues access tokens. See --help for its commands and settings.
package main

import (
	"os"

	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/server"
)

const description = `The OAuth 2.0 authorization server of Hallpass.

Exit codes: 0 done, 1 failed, 2 wrong command line or setting, 3 not found, 4 exists already.`

// commands is the command line, as kong reads it.
type commands struct {
	Serve       serveCommand               `cmd:"" help:"Run the server until SIGTERM or Ctrl-C."`
	User        userCommands               `cmd:"" help:"Users: add, list, show, set-password, disable, enable, delete."`
	Client      clientCommands             `cmd:"" help:"Clients: add, list, show, set, rotate-secret, delete."`
	API         apiCommands                `cmd:"" name:"api" help:"APIs that tokens are for: add, list, set, delete."`
	Scope       scopeCommands              `cmd:"" help:"What scopes mean, in the words of the consent page: describe, list, forget."`
	Consent     consentCommands            `cmd:"" help:"What users have allowed clients: list, revoke."`
	Key         keyCommands                `cmd:"" help:"Signing keys: init, list, rotate, export."`
	Init        initCommand                `cmd:"" help:"Make the secrets that a first start needs, where they are missing."`
	Migrate     migrateCommand             `cmd:"" help:"Make the database where there is none, and bring its schema up to date. serve does so too."`
	Healthcheck program.HealthcheckCommand `cmd:"" help:"Ask a running server whether it is ready."`
	Version     program.VersionCommand     `cmd:"" help:"Print the version."`
}

func main() {
	p := program.Program{Name: "authserver", Description: description, Commands: &commands{}, Vars: server.Defaults}
	os.Exit(p.Main(os.Args[1:], program.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
