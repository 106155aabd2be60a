package main

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/program"
)

// A command that waits for a password on a pipe ends when it is told to.
func TestPasswordThatNeverComes(t *testing.T) {
	in, out := io.Pipe()
	defer out.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if password, err := readPassword(ctx, program.Streams{In: in}); !errors.Is(err, errInterrupted) || password != "" {
		t.Errorf("%q, %v", password, err)
	}
}
