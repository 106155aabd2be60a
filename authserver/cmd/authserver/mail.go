package main

import (
	"context"

	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// mailCommands are the commands about mails.
type mailCommands struct {
	List mailListCommand `cmd:"" help:"List the emails that 'serve --mail-inbox' keeps, newest first."`
}

type mailListCommand struct {
	server.Database `embed:""`
	JSON            bool `help:"Print JSON, with the texts."`
}

// shownMail is a mail as it is printed.
type shownMail struct {
	At      string `json:"at"`
	To      string `json:"to"`
	Subject string `json:"subject"`
	Text    string `json:"text"`
}

// Run lists the mails.
func (c *mailListCommand) Run(ctx context.Context, streams program.Streams) error {
	return withStore(ctx, c.Database, func(s *store.Store) error {
		mails, err := s.Inbox(ctx)
		if err != nil {
			return err
		}
		show := func(m mail.Kept) shownMail {
			return shownMail{At: formatTime(&m.At), To: m.To, Subject: m.Subject, Text: m.Text}
		}
		header := []any{"AT", "TO", "SUBJECT"}
		return printList(streams.Out, c.JSON, each(mails, show), header, func(v shownMail) []any {
			return []any{v.At, v.To, v.Subject}
		})
	})
}
