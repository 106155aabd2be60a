package main

import (
	"context"
	"errors"
	"io"
	"strings"
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

// However the file was written, the password is the one that the user will type.
func TestReadPassword(t *testing.T) {
	for _, input := range []string{
		"securepassword", "securepassword\n", "securepassword\r\n", "securepassword\nmore\n",
		"\uFEFFsecurepassword\n", // Notepad and PowerShell
	} {
		password, err := readPassword(t.Context(), program.Streams{In: strings.NewReader(input)})
		if err != nil || password != "securepassword" {
			t.Errorf("%q: got %q and error %v", input, password, err)
		}
	}
	for _, input := range []string{" securepassword ", "\tsecurepassword", "secure\uFEFFpassword"} {
		if password, err := readPassword(t.Context(), program.Streams{In: strings.NewReader(input)}); password != input {
			t.Errorf("%q: got %q and error %v", input, password, err)
		}
	}
}
