package main

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/program"
)

func TestReadPasswordInterrupted(t *testing.T) {
	in, out := io.Pipe()
	defer out.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if password, err := readPassword(ctx, program.Streams{In: in}); !errors.Is(err, errInterrupted) || password != "" {
		t.Errorf("got password %q and error %v, want errInterrupted", password, err)
	}
}
