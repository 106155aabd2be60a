package main

import (
	"bufio"
	"context"
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
func readPassword(ctx context.Context, streams program.Streams) (string, error) {
	if f, ok := streams.In.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return askPassword(ctx, int(f.Fd()), streams.Err)
	}
	line, err := interruptible(ctx, func() (string, error) {
		return bufio.NewReader(io.LimitReader(streams.In, maxLine)).ReadString('\n')
	})
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the password from standard input: %w", err)
	}
	password := strings.TrimRight(line, "\r\n")
	if password == "" {
		return "", program.WithCode(program.ExitUsage, errors.New("no password: type it at the prompt, or give it as the first line of standard input"))
	}
	return password, nil
}

func askPassword(ctx context.Context, terminal int, prompts io.Writer) (string, error) {
	ask := func(prompt string) (string, error) {
		fmt.Fprint(prompts, prompt)
		defer fmt.Fprintln(prompts)
		return readHidden(ctx, terminal)
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

// readHidden reads a line that is not shown while it is typed. When that is interrupted,
// the terminal shows again what is typed.
func readHidden(ctx context.Context, terminal int) (string, error) {
	before, err := term.GetState(terminal)
	if err != nil {
		return "", err
	}
	text, err := interruptible(ctx, func() (string, error) {
		text, err := term.ReadPassword(terminal)
		return string(text), err
	})
	if errors.Is(err, errInterrupted) {
		err = errors.Join(err, term.Restore(terminal, before))
	}
	return text, err
}

var errInterrupted = errors.New("interrupted: nothing was changed")

// interruptible reads, or is errInterrupted at the end of ctx (Ctrl-C, SIGTERM). Nothing
// interrupts the reading itself: it is left behind, and ends with the program.
func interruptible(ctx context.Context, read func() (string, error)) (string, error) {
	type line struct {
		text string
		err  error
	}
	typed := make(chan line, 1)
	go func() {
		text, err := read()
		typed <- line{text, err}
	}()
	select {
	case l := <-typed:
		return l.text, l.err
	case <-ctx.Done():
		return "", errInterrupted
	}
}
