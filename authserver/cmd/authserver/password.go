package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/hallpass-auth/hallpass/shared/program"
)

// maxLine bounds a password that is read, in bytes; what is longer is refused by
// the policy in any case.
const maxLine = 4 << 10

// readPassword asks for a new password, twice, if somebody sits at a terminal, and
// else takes the first line of standard input. It is never an argument: other users
// of the machine see those.
func readPassword(streams program.Streams) (string, error) {
	if f, ok := streams.In.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return askPassword(f, streams.Err)
	}
	line, err := bufio.NewReader(io.LimitReader(streams.In, maxLine)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the password from standard input: %w", err)
	}
	password := strings.TrimRight(line, "\r\n")
	if password == "" {
		return "", program.WithCode(program.ExitUsage, errors.New("no password: type it at the prompt, or give it as the first line of standard input"))
	}
	return password, nil
}

func askPassword(terminal *os.File, prompts io.Writer) (string, error) {
	ask := func(prompt string) (string, error) {
		fmt.Fprint(prompts, prompt)
		defer fmt.Fprintln(prompts)
		typed, err := term.ReadPassword(int(terminal.Fd()))
		return string(typed), err
	}
	first, err := ask("New password: ")
	if err != nil {
		return "", err
	}
	second, err := ask("Once more: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the two passwords differ: nothing was changed")
	}
	return first, nil
}
