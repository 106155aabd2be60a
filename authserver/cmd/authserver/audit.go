package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// asCommand returns a context in which the user of the operating system acts, for the audit log.
func asCommand(ctx context.Context) context.Context {
	id := "uid " + strconv.Itoa(os.Getuid())
	if u, err := user.Current(); err == nil && u.Username != "" {
		id = u.Username
	}
	return audit.WithActor(ctx, audit.Actor{Kind: audit.Command, ID: id})
}

// auditCommands are the commands that read the audit log.
type auditCommands struct {
	List   auditListCommand   `cmd:"" help:"List records, newest first."`
	Show   auditShowCommand   `cmd:"" help:"Show a record."`
	Export auditExportCommand `cmd:"" help:"Write records to standard output, oldest first, for other programs."`
	Verify auditVerifyCommand `cmd:"" help:"Compute the chain of all records again, and name the first one that was changed or removed."`
}

// auditFilter are the flags that select records.
type auditFilter struct {
	Since   string `placeholder:"TIME" help:"Only records from this time on, like 2026-03-01, 2026-03-01T12:00:00Z, or 24h for the last 24 hours."`
	Until   string `placeholder:"TIME" help:"Only records before this time."`
	Actor   string `placeholder:"WHO" help:"Only what this user, client or user of the operating system has done: a username or an id."`
	Subject string `placeholder:"WHOM" help:"Only what was done to this user, client, API or scope: a username or an id."`
	Event   string `placeholder:"EVENT" help:"Only this event, or, with * at the end, all that begin with the text before it."`
	Outcome string `enum:"success,failure," default:"" help:"Only success, or only failure."`
	Client  string `placeholder:"ID" help:"Only what was done with this client."`
	Address string `placeholder:"IP" help:"Only what was done from this address."`
}

// filter returns the filter of the flags, with the ids of users in place of their names.
func (f auditFilter) filter(ctx context.Context, s *store.Store, now time.Time) (filter audit.Filter, err error) {
	filter = audit.Filter{
		Event: f.Event, Outcome: audit.Outcome(f.Outcome), ClientID: f.Client, Address: f.Address,
	}
	if filter.Since, err = parseTime("--since", f.Since, now); err != nil {
		return filter, err
	}
	if filter.Until, err = parseTime("--until", f.Until, now); err != nil {
		return filter, err
	}
	if filter.Actor, err = administration(s).IDs(ctx, f.Actor); err != nil {
		return filter, err
	}
	filter.Subject, err = administration(s).IDs(ctx, f.Subject)
	return filter, err
}

// parseTime parses a time of a flag: a day, a time, or how long ago it was. It returns the zero time for nothing.
func parseTime(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil {
		return now.Add(-ago), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, program.WithCode(program.ExitUsage, fmt.Errorf(
		"%s must be a time like 2026-03-01T12:00:00Z, a day like 2026-03-01, or an age like 24h, not %q",
		flag, text))
}

// withAudit opens the database and runs work on its audit log.
func withAudit(ctx context.Context, d server.Database, work func(*store.Store, *audit.Service) error) error {
	return withStore(ctx, d, func(s *store.Store) error { return work(s, &audit.Service{Store: s, Now: time.Now}) })
}

type auditListCommand struct {
	server.Database `embed:""`
	auditFilter     `embed:""`
	JSON            bool   `help:"Print JSON."`
	After           string `placeholder:"ID" help:"Begin after the record with this id: the last one of the page before."`
	Limit           int    `default:"100" placeholder:"N" help:"Print at most this many records, up to 1000 (${default})."`
}

// Validate checks the flags. kong calls it before Run.
func (c *auditListCommand) Validate() error {
	if c.Limit < 1 || c.Limit > audit.MaxPage {
		return fmt.Errorf("--limit must be from 1 to %d, not %d", audit.MaxPage, c.Limit)
	}
	return c.Database.Validate()
}

// Run lists records.
func (c *auditListCommand) Run(ctx context.Context, streams program.Streams) error {
	return withAudit(ctx, c.Database, func(s *store.Store, log *audit.Service) error {
		filter, err := c.filter(ctx, s, log.Now())
		if err != nil {
			return err
		}
		records, err := log.List(ctx, filter, audit.Page{After: c.After, Limit: c.Limit})
		if err != nil {
			return err
		}
		return printList(streams.Out, c.JSON, each(records, audit.Show),
			[]any{"TIME", "EVENT", "OUTCOME", "ACTOR", "SUBJECT", "ADDRESS", "CLIENT", "DETAILS", "ID"},
			func(r audit.Shown) []any {
				return []any{
					r.At.Format(time.RFC3339), r.Event, showOutcome(r), showParty(r.Actor), showParty(r.Subject),
					cmp.Or(r.Address, "-"), cmp.Or(r.ClientID, "-"), showDetails(r), r.ID,
				}
			})
	})
}

// showOutcome returns the outcome for a table, and how often it was that.
func showOutcome(r audit.Shown) string {
	if r.Count > 1 {
		return fmt.Sprintf("%s x %d", r.Outcome, r.Count)
	}
	return string(r.Outcome)
}

// showParty returns an actor or a subject for a table.
func showParty(p audit.Party) string {
	return strings.TrimSpace(p.Kind + " " + cmp.Or(p.Name, p.ID))
}

// showDetails returns the details for a table.
func showDetails(r audit.Shown) string {
	text, err := audit.Record{Details: r.Details}.DetailsText()
	if err != nil || len(r.Details) == 0 {
		return "-"
	}
	return text
}

type auditShowCommand struct {
	server.Database `embed:""`
	ID              string `arg:"" help:"The record's id."`
	JSON            bool   `help:"Print JSON."`
}

// Run shows a record.
func (c *auditShowCommand) Run(ctx context.Context, streams program.Streams) error {
	err := withAudit(ctx, c.Database, func(_ *store.Store, log *audit.Service) error {
		r, err := log.Get(ctx, c.ID)
		if err != nil {
			return err
		}
		v := audit.Show(r)
		if c.JSON {
			return printJSON(streams.Out, v)
		}
		sealed := "not yet"
		if v.Number > 0 {
			sealed = fmt.Sprintf("number %d, %s", v.Number, v.Hash)
		}
		return printTable(streams.Out, []any{"id", v.ID}, [][]any{
			{"at", v.At.Format(time.RFC3339)},
			{"event", v.Event},
			{"outcome", showOutcome(v)},
			{"actor", showParty(v.Actor)},
			{"actor id", v.Actor.ID},
			{"subject", showParty(v.Subject)},
			{"subject id", v.Subject.ID},
			{"address", v.Address},
			{"client", v.ClientID},
			{"request", v.RequestID},
			{"details", showDetails(v)},
			{"sealed", sealed},
		})
	})
	return exitError(c.ID, err)
}

type auditExportCommand struct {
	server.Database `embed:""`
	auditFilter     `embed:""`
	Format          string `enum:"jsonl,csv" default:"jsonl" help:"jsonl, one JSON object per line, or csv, a table (${default})."`
}

// Run exports records.
func (c *auditExportCommand) Run(ctx context.Context, streams program.Streams) error {
	return withAudit(ctx, c.Database, func(s *store.Store, log *audit.Service) error {
		filter, err := c.filter(ctx, s, log.Now())
		if err != nil {
			return err
		}
		return log.Export(ctx, filter, audit.Format(c.Format), streams.Out)
	})
}

type auditVerifyCommand struct {
	server.Database `embed:""`
	Head            string `placeholder:"HASH" help:"Hash that this command has printed earlier: fail unless the chain still contains it."`
}

// Help explains what the command can and cannot find.
func (c *auditVerifyCommand) Help() string {
	return `Write the printed hash down where the owner of the database cannot change it, and give it to --head later.
Without it, nobody can tell that the last records were removed, or that somebody has written another chain.`
}

// Run verifies the chain.
func (c *auditVerifyCommand) Run(ctx context.Context, streams program.Streams) error {
	return withAudit(ctx, c.Database, func(_ *store.Store, log *audit.Service) error {
		v, err := log.Verify(ctx, c.Head)
		if err != nil {
			return err
		}
		if c.Head != "" && !v.HeadFound {
			return fmt.Errorf("%w: no record has the hash %s, so the last records were removed, another chain was written, "+
				"or the record was dropped because it was older than --audit-retention", audit.ErrBroken, c.Head)
		}
		fmt.Fprintf(streams.Out, "%d records are as they were written, from number %d; %d wait to be sealed\n",
			v.Records, v.First, v.Waiting)
		fmt.Fprintf(streams.Out, "head: number %d, %s\n", v.Head.Number, v.Head.Hash)
		return nil
	})
}
