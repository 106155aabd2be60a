package main

import (
	"bytes"
	"io"
	"testing"

	"github.com/creack/pty"

	"github.com/hallpass-auth/hallpass/shared/database"
)

// Progress is shown in one line of a terminal, and not in a file.
func TestProgressLine(t *testing.T) {
	t.Parallel()
	master, terminal, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	line := newProgressLine(terminal)
	line.show(database.CopyProgress{Doing: "copy", Table: "users", Done: 5000, Total: 40_000})
	line.show(database.CopyProgress{Doing: "check", Table: "grants", Done: 40_000, Total: 40_000})
	line.clear()
	if err := terminal.Close(); err != nil {
		t.Fatal(err)
	}
	const want = "\r\x1b[K 12 %  copy users\r\x1b[K100 %  check grants\r\x1b[K"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(master, got); err != nil || string(got) != want {
		t.Errorf("the terminal got %q, %v, want %q", got, err, want)
	}

	var file bytes.Buffer
	line = newProgressLine(&file)
	line.show(database.CopyProgress{Doing: "copy", Table: "users", Done: 5000, Total: 40_000})
	line.clear()
	if file.Len() > 0 {
		t.Errorf("a file got %q", file.String())
	}
}

// An import shows a bar, or only a text if the size of the file is not known.
func TestProgressBar(t *testing.T) {
	t.Parallel()
	master, terminal, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	line := newProgressLine(terminal)
	line.bar(500, 1000, "5 users")
	line.bar(2000, 1000, "all")
	line.bar(500, 0, "5 users")
	if err := terminal.Close(); err != nil {
		t.Fatal(err)
	}
	const want = "\r\x1b[K[###############...............]  50 %  5 users" +
		"\r\x1b[K[##############################] 100 %  all\r\x1b[K5 users"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(master, got); err != nil || string(got) != want {
		t.Errorf("the terminal got %q, %v, want %q", got, err, want)
	}
}
