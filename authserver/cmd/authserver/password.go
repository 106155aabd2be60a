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

// maxLine limits the line that a password is read from, in bytes. The policy rejects longer ones
// anyway.
const maxLine = 4 << 10

// byteOrderMark is what some editors and shells put before UTF-8 text. Nobody types it at a login.
const byteOrderMark = "\uFEFF"

// readPassword reads a new password. On a terminal it asks twice; otherwise it reads the first line of
// standard input. The password is never an argument, which other users of the machine can see.
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
	password := strings.TrimRight(strings.TrimPrefix(line, byteOrderMark), "\r\n")
	if password == "" {
		err := errors.New("no password: type it at the prompt, or pass it as the first line of standard input")
		return "", program.WithCode(program.ExitUsage, err)
	}
	return password, nil
}

// askPassword asks for a password twice and checks that both are the same.
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
	second, err := ask("Confirm password: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the passwords do not match: nothing was changed")
	}
	return first, nil
}

// readHidden reads a line without echo. It restores the terminal if it is interrupted.
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

// errInterrupted means that the command was interrupted while it waited for input.
var errInterrupted = errors.New("interrupted: nothing was changed")

// interruptible calls read, and returns errInterrupted if ctx ends first (Ctrl-C, SIGTERM). read
// itself cannot be interrupted and continues until the program exits.
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
