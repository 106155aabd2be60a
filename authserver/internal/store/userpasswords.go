package store

import (
	"context"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/passwordhash"
)

// SetPassword sets the password hash of a user, who is then no longer a demo user. It deletes the
// user's failed logins, known addresses and sessions, and revokes all grants of the user (RFC 9700 section 4.14.2).
// It returns record.ErrNotFound if there is no such user.
func (s *Store) SetPassword(ctx context.Context, username, hash string, now time.Time) error {
	return s.inTx(ctx, "set password", func(ctx context.Context, tx transaction) error {
		if err := s.setPassword(ctx, tx, username, hash, now); err != nil {
			return err
		}
		return auditAdmin(ctx, tx, "user_password_set", username, now)
	})
}

// setPassword is SetPassword in a transaction, without the event. The user is told by mail.
func (s *Store) setPassword(ctx context.Context, tx transaction, username, hash string, now time.Time) error {
	id, err := updateAndEndLogins(ctx, tx, "set password", now,
		"UPDATE users SET password_hash = $2, password_version = password_version + 1, demo = 0 WHERE username = $1",
		username, hash)
	if err != nil {
		return err
	}
	if err := forgetAttempts(ctx, tx, id); err != nil {
		return err
	}
	return s.addMail(ctx, tx, mail.Request{Kind: mail.PasswordChanged, UserID: id, CreatedAt: now})
}

// ReplaceHash sets the user's password hash to new if it is still old. It does nothing if the
// password has been changed in the meantime.
func (s *Store) ReplaceHash(ctx context.Context, userID, old, new string) error {
	_, err := s.exec(ctx, "replace hash",
		"UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2", userID, old, new)
	return err
}

// costSample is how many users PasswordCosts looks at.
const costSample = 1000

// PasswordCosts returns how many users have a password hash of each cost, of the first thousand by id. Ids are random,
// so the costs of all users are in nearly the same proportion. Counting all takes 20 seconds for 100 million.
func (s *Store) PasswordCosts(ctx context.Context) ([]account.CostCount, error) {
	rows, err := list(ctx, s.read, "read password costs", func(r row) (account.CostCount, error) {
		var beginning string
		var c account.CostCount
		err := r.Scan(&beginning, &c.Count)
		c.Cost = passwordhash.CostOf(beginning)
		return c, unavailable("read password costs", err)
	}, "SELECT beginning, COUNT(*) FROM (SELECT CASE WHEN substr(password_hash, 1, 2) = '$2' "+
		"THEN substr(password_hash, 1, 7) ELSE password_hash END AS beginning FROM users ORDER BY id LIMIT $1) AS sample "+
		"GROUP BY beginning", costSample)
	counts := map[string]int64{}
	for _, c := range rows {
		counts[c.Cost] += c.Count
	}
	delete(counts, "") // users without a usable hash
	costs := make([]account.CostCount, 0, len(counts))
	for cost, count := range counts {
		costs = append(costs, account.CostCount{Cost: cost, Count: count})
	}
	return costs, err
}
