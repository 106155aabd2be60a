package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

// Remainder is what is stored about a user besides the user, sessions, grants and consents. It has no digests.
type Remainder struct {
	// FailedLogins counts the recent failures of logins to the account.
	FailedLogins int64
	// KnownAddresses counts the addresses from which the user has logged in, of which only digests are stored.
	KnownAddresses int64
	// Links are the links in mails to the user.
	Links []StoredLink
	// Mails are the mails to the user that were asked for within the last hour or so.
	Mails []StoredMail
	// Revocations are how often the user's consents to clients were revoked.
	Revocations []ConsentRevocations
}

// StoredLink is a link in a mail.
type StoredLink struct {
	Kind, Email, NewEmail string
	CreatedAt, ExpiresAt  time.Time
}

// StoredMail is a mail that was asked for.
type StoredMail struct {
	Kind      string
	CreatedAt time.Time
}

// ConsentRevocations is how often a user's consents to a client were revoked.
type ConsentRevocations struct {
	ClientID string
	Times    int64
}

// RemainderOf returns what is stored about a user besides the user, sessions, grants and consents.
func (s *Store) RemainderOf(ctx context.Context, userID string) (r Remainder, err error) {
	key := account.NewFailureKey(userID, "")
	err = s.read.scanRow(ctx,
		"SELECT COALESCE(SUM(count), 0) FROM login_failures WHERE account = $1 AND address <> ''",
		[]any{key.Account}, &r.FailedLogins)
	if err != nil {
		return Remainder{}, unavailable("count failures", err)
	}
	err = s.read.scanRow(ctx, "SELECT COUNT(*) FROM known_addresses WHERE user_id = $1", []any{userID}, &r.KnownAddresses)
	if err != nil {
		return Remainder{}, unavailable("count addresses", err)
	}
	r.Links, err = list(ctx, s.read, "list links", func(r row) (l StoredLink, err error) {
		var created, expires sql.NullInt64
		err = r.Scan(&l.Kind, &l.Email, &l.NewEmail, &created, &expires)
		l.CreatedAt, l.ExpiresAt = timeOf(created), timeOf(expires)
		return l, unavailable("list links", err)
	}, "SELECT kind, email, new_email, created_at, expires_at FROM links WHERE user_id = $1 "+
		"ORDER BY created_at, kind", userID)
	if err != nil {
		return Remainder{}, err
	}
	r.Mails, err = list(ctx, s.read, "list mails", func(r row) (m StoredMail, err error) {
		var created sql.NullInt64
		err = r.Scan(&m.Kind, &created)
		m.CreatedAt = timeOf(created)
		return m, unavailable("list mails", err)
	}, "SELECT kind, created_at FROM mail_requests WHERE user_id = $1 ORDER BY id", userID)
	if err != nil {
		return Remainder{}, err
	}
	r.Revocations, err = list(ctx, s.read, "list revocations of consents", func(r row) (c ConsentRevocations, err error) {
		return c, unavailable("list revocations of consents", r.Scan(&c.ClientID, &c.Times))
	}, "SELECT client_id, times FROM consent_revocations WHERE user_id = $1 ORDER BY client_id", userID)
	return r, err
}
