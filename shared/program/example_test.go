package program_test

import (
	"fmt"
	"os"

	"github.com/hallpass-auth/hallpass/shared/program"
)

type greetCommand struct {
	Greeting string `env:"GREETING" default:"Hello" help:"Word to greet with (${default})."`
	Name     string `arg:"" help:"Whom to greet."`
}

func (c *greetCommand) Run(streams program.Streams) error {
	if c.Name == "nobody" {
		return program.WithCode(program.ExitNotFound, fmt.Errorf("there is no user %q", c.Name))
	}
	_, err := fmt.Fprintf(streams.Out, "%s, %s\n", c.Greeting, c.Name)
	return err
}

// A program with one command. A real main passes the result of Main to os.Exit, and
// os.Stderr as the stream for errors.
func Example() {
	var commands struct {
		Greet greetCommand `cmd:"" help:"Greet a user."`
	}
	p := program.Program{Name: "example", Description: "An example.", Commands: &commands}
	streams := program.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stdout}

	fmt.Println("exit code", p.Main([]string{"greet", "Ada"}, streams))
	fmt.Println("exit code", p.Main([]string{"greet", "nobody"}, streams))
	fmt.Println("exit code", p.Main([]string{"greet", "Ada", "--greeting"}, streams))
	// Output:
	// Hello, Ada
	// exit code 0
	// example: there is no user "nobody"
	// exit code 3
	// example: --greeting (GREETING): expected string value but got "EOL" (<EOL>) (see 'example --help')
	// exit code 2
}
