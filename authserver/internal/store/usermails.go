package store

import (
	"context"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
)

// NotifyPasswordOnly queues an email to a user that a login by the right password alone was refused, unless one was
// asked for within the last hour.
func (s *Store) NotifyPasswordOnly(ctx context.Context, userID string, now time.Time) error {
	return s.inTx(ctx, "tell user", func(ctx context.Context, tx transaction) error {
		return s.notifyHourly(ctx, tx, mail.Request{Kind: mail.PasswordOnly, UserID: userID, CreatedAt: now})
	})
}

// NotifyWrongCodes queues an email to a user that too many codes were wrong after the right password, unless one was
// asked for within the last hour. It does nothing while a pending login has tries left; an empty digest means that the
// tries of all logins are too many.
func (s *Store) NotifyWrongCodes(ctx context.Context, userID, pending string, now time.Time) error {
	return s.inTx(ctx, "tell user", func(ctx context.Context, tx transaction) error {
		var left bool
		err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM pending_logins WHERE digest = $1 AND tries < $2)",
			pending, secondfactor.MaxTries).Scan(&left)
		if err != nil || left {
			return unavailable("tell user", err)
		}
		return s.notifyHourly(ctx, tx, mail.Request{Kind: mail.WrongCodes, UserID: userID, CreatedAt: now})
	})
}

// notifyHourly queues an email to a user, unless one of its kind was queued within the last hour.
func (s *Store) notifyHourly(ctx context.Context, tx transaction, m mail.Request) error {
	if err := s.lock(ctx, tx, "mails to "+m.UserID, m.CreatedAt); err != nil {
		return err
	}
	var told bool
	err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM mail_requests WHERE user_id = $1 AND kind = $2 "+
		"AND created_at > $3 AND created_at <= $4)", m.UserID, string(m.Kind),
		seconds(m.CreatedAt.Add(-mail.LimitPeriod)), seconds(m.CreatedAt.Add(account.ClockMargin))).Scan(&told)
	if err != nil || told {
		return unavailable("tell user", err)
	}
	return s.addMail(ctx, tx, m)
}
