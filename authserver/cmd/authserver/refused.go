package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/hallpass-auth/hallpass/shared/database"

	"github.com/hallpass-auth/hallpass/authserver/internal/userimport"
)

// maxShownRefused is how many users who were refused are shown. A file has all of them.
const maxShownRefused = 100

// refusedList lists the users who were refused, on standard error and in a file.
type refusedList struct {
	shown io.Writer
	count int
	file  *os.File // nil without a path
	lines *bufio.Writer
}

// checkRefused returns an error if --refused names a file that the command reads, by this or another path: the command
// would overwrite it.
func (c *userImportCommand) checkRefused(in io.Reader) error {
	refused, _ := os.Stat(c.Refused)                   // nil if it is not set or there is no such file
	if refused == nil || !refused.Mode().IsRegular() { // nothing to lose, as in /dev/null
		return nil
	}
	data, _ := database.SQLitePath(c.DatabaseURL)
	for _, read := range []struct{ name, path string }{
		{"FILE", c.File}, {"--passwords", c.Passwords}, {"--database-url", data},
	} {
		info, err := os.Stat(read.path)
		if file, ok := in.(*os.File); ok && read.name == "FILE" && c.File == "-" {
			info, err = file.Stat()
		}
		if err == nil && os.SameFile(refused, info) {
			return fmt.Errorf("--refused %s is the same file as %s, which it would replace: name another one",
				c.Refused, read.name)
		}
	}
	return nil
}

// newRefusedList returns an empty list. It replaces the file at the path, unless that is empty.
func newRefusedList(shown io.Writer, path string) (*refusedList, error) {
	l := &refusedList{shown: shown}
	if path == "" {
		return l, nil
	}
	var err error
	if l.file, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600); err != nil {
		return nil, err
	}
	l.lines = bufio.NewWriter(l.file)
	return l, nil
}

// add lists a user. Texts of the file are quoted: they could control a terminal.
func (l *refusedList) add(e userimport.Entry, why error) error {
	text := e.Where
	if name := cmp.Or(e.User.Username, e.User.Email, e.User.SourceID); name != "" {
		text += fmt.Sprintf(" (%q)", name)
	}
	text += fmt.Sprintf(": %s\n", why)
	l.count++
	if l.count <= maxShownRefused {
		fmt.Fprint(l.shown, newProgressLine(l.shown).clearing(), text)
	}
	if l.count == maxShownRefused+1 {
		fmt.Fprintln(l.shown, "... --refused FILE writes all of them")
	}
	if l.file == nil {
		return nil
	}
	_, err := l.lines.WriteString(text)
	return err
}

// close writes the rest of the file.
func (l *refusedList) close() error {
	if l.file == nil {
		return nil
	}
	return errors.Join(l.lines.Flush(), l.file.Close())
}
