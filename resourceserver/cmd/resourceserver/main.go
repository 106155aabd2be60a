// Command resourceserver runs the API that Hallpass protects.
package main

import (
	"os"

	"github.com/hallpass-auth/hallpass/resourceserver/internal/server"
	"github.com/hallpass-auth/hallpass/shared/program"
)

func main() {
	os.Exit(program.Program{
		Name: "resourceserver",
		Description: "The resource API of Hallpass. It accepts access tokens of the authorization server " +
			"without asking it about each request.",
		Commands: &server.Commands{},
		Vars:     map[string]string{"listen": "127.0.0.1:8000", "admin_listen": "127.0.0.1:8001"},
	}.Main(os.Args[1:], program.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
