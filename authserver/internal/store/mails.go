package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
)

// inboxSize is how many mails the inbox keeps.
const inboxSize = 100

// RequestMail stores a request that a stranger has made. It returns mail.ErrTooMany if mail.MaxRequests or
// mail.MaxRequestsOfNetwork is reached. A request for a name that has reached one of the other limits is dropped, which
// the caller cannot notice. The notes are other mails that follow from the request, unless it is dropped. Calls at the
// same time may exceed mail.MaxRequests by as many as they are, but not the other limits.
func (s *Store) RequestMail(ctx context.Context, m mail.Request, notes ...mail.Request) error {
	// It counts before the transaction too: a transaction that is refused would make others wait.
	until := seconds(m.CreatedAt.Add(account.ClockMargin))
	var all int64
	err := s.read.scanRow(ctx, "SELECT COUNT(*) FROM mail_requests "+
		"WHERE created_at > $1 AND created_at <= $2 AND network <> ''",
		[]any{seconds(m.CreatedAt.Add(-mail.LimitPeriod)), until}, &all)
	if err != nil {
		return unavailable("count mails", err)
	}
	if all >= mail.MaxRequests && !m.FromKnownPlace {
		return mail.ErrTooMany
	}
	var before mailCounts
	if err := s.read.scanRow(ctx, countMails, before.args(m), before.columns()...); err != nil {
		return unavailable("count mails", err)
	}
	if before.ofNetwork >= mail.MaxRequestsOfNetwork {
		return mail.ErrTooMany
	}
	return s.inTx(ctx, "request mail", func(ctx context.Context, tx transaction) error {
		for _, name := range []string{"mails for " + m.TypedDigest, "mails from " + m.Network} {
			if err := s.lock(ctx, tx, name, m.CreatedAt); err != nil {
				return err
			}
		}
		var counts mailCounts
		if err := tx.QueryRowContext(ctx, countMails, counts.args(m)...).Scan(counts.columns()...); err != nil {
			return unavailable("count mails", err)
		}
		requests := append([]mail.Request{m}, notes...)
		switch {
		case counts.ofNetwork >= mail.MaxRequestsOfNetwork:
			return mail.ErrTooMany
		case counts.ofName >= mail.MaxRequestsOfName, counts.ofBoth >= mail.MaxRequestsOfNameByNetwork:
			requests = requests[:1]
			requests[0].Typed, requests[0].TypedDigest = "", "" // of nobody: one network must not use up the limit of all
		}
		return s.addMails(ctx, tx, requests)
	})
}

// mailCounts are how many requests were made by a network, and how many for a name, by all and by the network, were not
// dropped.
type mailCounts struct{ ofNetwork, ofName, ofBoth int64 }

// countMails counts requests. Its columns are mailCounts.columns, its arguments mailCounts.args.
const countMails = "SELECT " +
	"(SELECT COUNT(*) FROM mail_requests WHERE network = $1 AND created_at > $3 AND created_at <= $5), " +
	"(SELECT COUNT(*) FROM mail_requests WHERE typed_digest = $2 AND created_at > $4 AND created_at <= $5), " +
	"(SELECT COUNT(*) FROM mail_requests WHERE typed_digest = $2 AND network = $1 AND created_at > $4 " +
	"AND created_at <= $5)"

func (c *mailCounts) columns() []any { return []any{&c.ofNetwork, &c.ofName, &c.ofBoth} }

func (c *mailCounts) args(m mail.Request) []any {
	return []any{
		m.Network, m.TypedDigest, seconds(m.CreatedAt.Add(-mail.LimitPeriod)), seconds(m.CreatedAt.Add(-mail.NamePeriod)),
		seconds(m.CreatedAt.Add(account.ClockMargin)),
	}
}

// AddMails stores requests without looking at limits.
func (s *Store) AddMails(ctx context.Context, requests ...mail.Request) error {
	return s.inTx(ctx, "request mail", func(ctx context.Context, tx transaction) error {
		return s.addMails(ctx, tx, requests)
	})
}

// addMails stores requests in a transaction.
func (s *Store) addMails(ctx context.Context, tx transaction, requests []mail.Request) error {
	for _, m := range requests {
		if err := s.addMail(ctx, tx, m); err != nil {
			return err
		}
	}
	return nil
}

// addMail stores a request in the transaction of what it is about, and deletes a few old requests.
func (s *Store) addMail(ctx context.Context, tx transaction, m mail.Request) error {
	_, err := changed(ctx, tx, "add mail",
		"INSERT INTO mail_requests (kind, typed, typed_digest, network, user_id, created_at, due_at, language) "+
			"VALUES ($1, $2, $3, $4, $5, $6, $6, $7)",
		m.Kind, m.Typed, m.TypedDigest, m.Network, m.UserID, seconds(m.CreatedAt), m.Language)
	if err != nil {
		return err
	}
	return s.sweepSome(ctx, tx, expiringMailRequests, m.CreatedAt)
}

// TakeMailRequests returns up to limit requests that are due at now. It leases them until the given time: until
// then no server takes them again. Requests older than mail.LimitPeriod are not taken.
func (s *Store) TakeMailRequests(ctx context.Context, now, until time.Time, limit int) ([]mail.Request, error) {
	oldest := seconds(now.Add(-mail.LimitPeriod))
	var some bool
	err := s.read.scanRow(ctx, "SELECT EXISTS (SELECT 1 FROM mail_requests WHERE due_at <= $1 AND created_at >= $2)",
		[]any{seconds(now), oldest}, &some)
	if err != nil || !some {
		return nil, unavailable("take mails", err)
	}
	return list(ctx, s.write, "take mails", func(r row) (m mail.Request, err error) {
		var created sql.NullInt64
		err = r.Scan(&m.ID, &m.Kind, &m.Typed, &m.UserID, &created, &m.Attempts, &m.Language)
		m.CreatedAt = timeOf(created)
		return m, unavailable("take mails", err)
	}, "WITH due AS MATERIALIZED (SELECT id FROM mail_requests WHERE due_at <= $1 AND created_at >= $3 "+
		"ORDER BY due_at, id LIMIT $4 "+s.dialect.skipLocked+") "+
		"UPDATE mail_requests SET due_at = $2, attempts = attempts + 1 WHERE id IN (SELECT id FROM due) "+
		"RETURNING id, kind, typed, user_id, created_at, attempts, language",
		seconds(now), seconds(until), oldest, limit)
}

// FinishMailRequest records that nothing is left to do for a request, and deletes what was typed. It does nothing
// if another server has taken the request since.
func (s *Store) FinishMailRequest(ctx context.Context, m mail.Request) error {
	_, err := s.exec(ctx, "finish mail",
		"UPDATE mail_requests SET due_at = NULL, typed = '' WHERE id = $1 AND attempts = $2", m.ID, m.Attempts)
	return err
}

// ReturnMailRequest makes a request for which no mail was sent due again at a later time, and does not count the
// attempt. It does nothing if another server has taken the request since.
func (s *Store) ReturnMailRequest(ctx context.Context, m mail.Request, until time.Time) error {
	_, err := s.exec(ctx, "return mail",
		"UPDATE mail_requests SET due_at = $3, attempts = attempts - 1 WHERE id = $1 AND attempts = $2",
		m.ID, m.Attempts, seconds(until))
	return err
}

// PostponeMailRequest makes a request due again at a later time. It does nothing if another server has taken the
// request since.
func (s *Store) PostponeMailRequest(ctx context.Context, m mail.Request, until time.Time) error {
	_, err := s.exec(ctx, "postpone mail",
		"UPDATE mail_requests SET due_at = $3 WHERE id = $1 AND attempts = $2", m.ID, m.Attempts, seconds(until))
	return err
}

// ForgetMailRequests gives up the requests from before a time and deletes what was typed. It returns how many mails
// were not sent.
func (s *Store) ForgetMailRequests(ctx context.Context, before time.Time) (int64, error) {
	return s.exec(ctx, "forget mails",
		"UPDATE mail_requests SET due_at = NULL, typed = '' WHERE due_at IS NOT NULL AND created_at < $1", seconds(before))
}

// AddToInbox keeps a mail in place of sending it, and deletes all but the newest 100.
func (s *Store) AddToInbox(ctx context.Context, m mail.Message, now time.Time) error {
	return s.inTx(ctx, "add to inbox", func(ctx context.Context, tx transaction) error {
		_, err := changed(ctx, tx, "add to inbox",
			"INSERT INTO inbox_mails (recipient, subject, body, created_at) VALUES ($1, $2, $3, $4)",
			m.To, m.Subject, m.Text, seconds(now))
		if err != nil {
			return err
		}
		_, err = sweep(ctx, tx, "inbox_mails", "DELETE FROM inbox_mails WHERE id NOT IN "+
			"(SELECT id FROM inbox_mails ORDER BY id DESC LIMIT $1)", inboxSize)
		return err
	})
}

// Inbox returns the mails of the inbox, newest first.
func (s *Store) Inbox(ctx context.Context) ([]mail.Kept, error) {
	return list(ctx, s.read, "read inbox", func(r row) (m mail.Kept, err error) {
		var at sql.NullInt64
		err = r.Scan(&m.To, &m.Subject, &m.Text, &at)
		m.At = timeOf(at)
		return m, unavailable("read inbox", err)
	}, "SELECT recipient, subject, body, created_at FROM inbox_mails ORDER BY id DESC LIMIT $1", inboxSize)
}
