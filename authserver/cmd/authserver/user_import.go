package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/userimport"
)

// userImportCommand adds the users of a file.
type userImportCommand struct {
	server.Database `embed:""`
	File            string `arg:"" help:"File to read; - for standard input."`
	Format          string `default:"auto" enum:"auto,csv,jsonl,keycloak,supabase,auth0" help:"What the file is: csv or jsonl as the documentation describes them, or an export of keycloak, supabase or auth0 (auto)."`
	Passwords       string `placeholder:"FILE" help:"The password export of Auth0, which belongs to the export of users."`
	DryRun          bool   `help:"Check everything and add nobody."`
	Refused         string `placeholder:"FILE" help:"Write a line for each user who was refused to this file, which is replaced."`
	AllowAdmins     bool   `help:"Import users of the group admins, who will administer this server."`
}

// Help explains what is imported.
func (c *userImportCommand) Help() string {
	return `Users keep their passwords: hashes of bcrypt, argon2id, scrypt and PBKDF2 are imported as they are, and
replaced by the server's own at the next login. Second factors are not imported. Usernames have no @: a user without a
username gets the email address with a dot in place of the @.

Users who are refused are listed with the reason, and the others are imported. Run the command again after it was
interrupted, or after you have corrected the file: users who are there already are left as they are.

https://github.com/hallpass-auth/hallpass/blob/main/deploy/docs/moving-in.md describes the files, and how to get them.`
}

// Validate checks the flags. kong calls it before Run.
func (c *userImportCommand) Validate() error {
	if c.Passwords != "" && c.Format != string(userimport.Auto) && c.Format != string(userimport.Auth0) {
		return errors.New("--passwords needs --format auth0")
	}
	return c.Database.Validate()
}

// Run imports the users.
func (c *userImportCommand) Run(ctx context.Context, streams program.Streams) error {
	if err := c.checkRefused(streams.In); err != nil {
		return program.WithCode(program.ExitUsage, err)
	}
	file, size, err := c.open(streams)
	if err != nil {
		return program.WithCode(program.ExitUsage, err)
	}
	defer file.Close()
	counted := &countingReader{Reader: file}
	options := userimport.Options{Format: userimport.Format(c.Format), Now: time.Now()}
	if c.Passwords != "" {
		passwords, err := os.Open(c.Passwords)
		if err != nil {
			return program.WithCode(program.ExitUsage, err)
		}
		defer passwords.Close()
		options.Passwords = passwords
	}
	users, format, err := userimport.Open(counted, options)
	if err != nil {
		return exitError("", fmt.Errorf("%s: %w", c.File, err))
	}
	refused, err := newRefusedList(streams.Err, c.Refused)
	if err != nil {
		return program.WithCode(program.ExitUsage, err)
	}
	run := importRun{
		users: users, refused: refused,
		show: func(p importCounts) { newProgressLine(streams.Err).bar(counted.read, size, p.String()) },
	}
	err = withStore(ctx, c.Database, func(s *store.Store) error {
		service := admin.Service{Store: s, Now: time.Now}
		run.into = service.NewImport(admin.ImportOptions{DryRun: c.DryRun, AllowAdmins: c.AllowAdmins})
		return run.run(ctx)
	})
	newProgressLine(streams.Err).clear()
	return c.report(streams, format, run.counts, errors.Join(err, refused.close()))
}

// open opens the file. Its size is zero if it is not known.
func (c *userImportCommand) open(streams program.Streams) (file io.ReadCloser, size int64, err error) {
	if c.File == "-" {
		return io.NopCloser(streams.In), 0, nil
	}
	f, err := os.Open(c.File)
	if err != nil {
		return nil, 0, err
	}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		size = info.Size()
	}
	return f, size, nil
}

// report prints what was done. It fails if there was an error or a user was refused.
func (c *userImportCommand) report(
	streams program.Streams,
	format userimport.Format,
	n importCounts,
	err error,
) error {
	done := "imported"
	if c.DryRun {
		done = "would be imported"
	}
	fmt.Fprintf(streams.Out, "%s: %s %s, %d already there, %d refused\n", format, count(n.added, "user"), done, n.present,
		n.refused)
	if n.secondFactors > 0 {
		fmt.Fprintf(streams.Err, "note: second factors are not imported: %s had one there\n", count(n.secondFactors, "user"))
	}
	if n.noPassword > 0 {
		fmt.Fprintf(streams.Err, "note: %s without a password hash must choose a password with 'Forgot your password?', "+
			"which needs a verified email address\n", count(n.noPassword, "user"))
	}
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w; run the command again to continue", c.File, err)
	case n.refused > 0:
		return fmt.Errorf("not imported: %s", count(n.refused, "user"))
	}
	return nil
}

// importCounts counts what became of the users.
type importCounts struct{ added, present, refused, secondFactors, noPassword int64 }

// String returns a text for the progress line.
func (n importCounts) String() string {
	return fmt.Sprintf("%s, %d refused", count(n.added+n.present, "user"), n.refused)
}

// importRun is an import in progress.
type importRun struct {
	users   userimport.Reader
	into    *admin.Import
	refused *refusedList
	counts  importCounts
	show    func(importCounts)
}

// run imports the users in batches.
func (r *importRun) run(ctx context.Context) error {
	batch := make([]userimport.Entry, 0, admin.ImportBatch)
	for {
		e, err := r.users.Next()
		if err == nil && e.Err != nil {
			if err = r.refuse(e, e.Err); err == nil {
				continue
			}
		}
		if err == nil {
			batch = append(batch, e)
		}
		if len(batch) == cap(batch) || err != nil && len(batch) > 0 {
			if err := r.add(ctx, batch); err != nil {
				return err
			}
			batch = batch[:0]
			r.show(r.counts)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// add imports a batch.
func (r *importRun) add(ctx context.Context, batch []userimport.Entry) error {
	users := make([]admin.ImportedUser, 0, len(batch))
	for _, e := range batch {
		users = append(users, e.User)
	}
	why, err := r.into.Add(ctx, users)
	if err != nil {
		return err
	}
	for i, e := range batch {
		switch {
		case errors.Is(why[i], admin.ErrPresent):
			r.counts.present++
			continue
		case why[i] != nil:
			if err := r.refuse(e, why[i]); err != nil {
				return err
			}
			continue
		}
		r.counts.added++
		if e.SecondFactor {
			r.counts.secondFactors++
		}
		if e.User.PasswordHash == "" {
			r.counts.noPassword++
		}
	}
	return nil
}

// refuse lists a user who is not imported.
func (r *importRun) refuse(e userimport.Entry, why error) error {
	r.counts.refused++
	return r.refused.add(e, why)
}

// countingReader counts what was read.
type countingReader struct {
	io.Reader

	read int64
}

// Read implements io.Reader.
func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read += int64(n)
	return n, err
}
