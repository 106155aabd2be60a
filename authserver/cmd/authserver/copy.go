package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/hallpass-auth/hallpass/shared/database"
	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/server"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

type copyCommand struct {
	From string `arg:"" help:"Database to copy: sqlite:PATH. No server may use it."`
	To   string `arg:"" help:"PostgreSQL database without users, clients and grants: postgres://USER@HOST/NAME?sslmode=verify-full."`

	DatabasePasswordFile string `group:"Data" env:"HALLPASS_DATABASE_PASSWORD_FILE" placeholder:"PATH" help:"File with the password for PostgreSQL, instead of one in the URL."`
}

// Help explains what becomes of tokens.
func (c *copyCommand) Help() string {
	return `Stop the servers, copy, and start them with the new HALLPASS_DATABASE_URL and the same keys file. Nobody is
logged out: grants keep their numbers, and tokens stay valid.

All rows are read back and compared. If something fails, the PostgreSQL database is as before; the command says so
if it cannot know. The SQLite file
is not changed; do not start a server on it again.`
}

// Run copies.
func (c *copyCommand) Run(ctx context.Context, streams program.Streams) error {
	path, ok := database.SQLitePath(c.From)
	if !ok {
		return program.WithCode(program.ExitUsage, errors.New("FROM must be sqlite:PATH"))
	}
	if _, ok := database.SQLitePath(c.To); ok {
		return program.WithCode(program.ExitUsage, errors.New("TO must be a PostgreSQL database: postgres://USER@HOST/NAME"))
	}
	from, to := c.database("FROM", c.From), c.database("TO", c.To)
	if err := errors.Join(from.Validate(), to.Validate()); err != nil {
		return program.WithCode(program.ExitUsage, err)
	}
	if err := withStore(ctx, from, func(*store.Store) error { return nil }); err != nil { // its schema is up to date
		return err
	}
	lock, err := database.LockSQLite(ctx, path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer lock.Close()
	target, err := server.OpenStore(ctx, to)
	if err != nil {
		return err
	}
	defer target.Close()
	line := newProgressLine(streams.Err)
	copied, err := store.CopyFile(ctx, lock, target, line.show)
	line.clear()
	switch {
	case errors.Is(err, database.ErrCopyUnknown):
		return exitError("", fmt.Errorf("%w: everything was copied, or nothing. Run the command again: "+
			"if it says that the database is not empty, the copy is complete", err))
	case err != nil:
		return exitError("", fmt.Errorf("nothing was copied: %w", err))
	}
	return c.report(streams, copied)
}

// database returns the settings of a database that an argument names.
func (c *copyCommand) database(argument, url string) server.Database {
	const timeout = 5 * time.Second
	return server.Database{
		DatabaseURL:              url,
		DatabasePasswordFile:     c.DatabasePasswordFile,
		DatabaseConnections:      2,
		DatabaseConnectTimeout:   timeout,
		DatabaseStatementTimeout: timeout,
		Setting:                  argument,
	}
}

// report prints how many rows each table has.
func (c *copyCommand) report(streams program.Streams, copied []database.CopiedTable) error {
	var rows [][]any
	for _, t := range copied {
		rows = append(rows, []any{t.Name, t.Rows})
	}
	err := printTable(streams.Out, []any{"TABLE", "ROWS"}, rows)
	fmt.Fprintln(streams.Err, "all rows were read back and are the same\n"+
		"note: set HALLPASS_DATABASE_URL to the new database and start the servers with the same keys file; "+
		"start none on the old one")
	return err
}

// progressLine shows progress in one line of a terminal. Elsewhere it shows nothing.
type progressLine struct{ terminal io.Writer }

func newProgressLine(w io.Writer) progressLine {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return progressLine{w}
	}
	return progressLine{}
}

// clearLine returns to the start of the line and clears it.
const clearLine = "\r\x1b[K"

func (l progressLine) show(p database.CopyProgress) {
	if l.terminal != nil {
		fmt.Fprintf(l.terminal, clearLine+"%3d %%  %s %s", 100*p.Done/p.Total, p.Doing, p.Table)
	}
}

// bar shows how much of a total is done, with a text. A total of zero is not known.
func (l progressLine) bar(done, total int64, text string) {
	const width = 30
	switch {
	case l.terminal == nil:
	case total <= 0:
		fmt.Fprint(l.terminal, clearLine, text)
	default:
		part := min(done, total)
		full := int(width * part / total)
		fmt.Fprintf(l.terminal, clearLine+"[%s%s] %3d %%  %s",
			strings.Repeat("#", full), strings.Repeat(".", width-full), 100*part/total, text)
	}
}

func (l progressLine) clear() {
	if l.terminal != nil {
		fmt.Fprint(l.terminal, clearLine)
	}
}

// clearing returns the text that clears the line.
func (l progressLine) clearing() string {
	if l.terminal == nil {
		return ""
	}
	return clearLine
}
