package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// LoginsOf selects logins. An empty field selects those of all.
type LoginsOf struct {
	// Username is the user who has logged in.
	Username string
	// ClientID is the client that the login is at.
	ClientID string
	// Audience is the API that the login is for.
	Audience string
}

// Logins counts logins.
type Logins struct {
	// Grants are the logins at clients, without those of services and without token exchanges.
	Grants int64
	// Browsers are the browser sessions. They belong to no client and no API.
	Browsers int64
}

// CountLogins counts the logins that are active at now: those with a refresh token that has not expired,
// or with an access token if they have no refresh token.
func (s *Store) CountLogins(ctx context.Context, of LoginsOf, now time.Time) (n Logins, err error) {
	query := "SELECT COUNT(*) FROM grants " +
		"WHERE revoked_at IS NULL AND COALESCE(refresh_expires_at, expires_at) > $1 AND user_id IS NOT NULL " +
		"AND parent IS NULL"
	args := []any{seconds(now)}
	and := func(condition, value string) {
		args = append(args, value)
		query += fmt.Sprintf(" AND "+condition, len(args))
	}
	if of.Username != "" {
		and("user_id = (SELECT id FROM users WHERE username = $%d)", of.Username)
	}
	if of.ClientID != "" {
		and("client_id = $%d", of.ClientID)
	}
	if of.Audience != "" {
		and("audience = $%d", s.storedAudience(of.Audience))
	}
	if err = s.read.scanRow(ctx, query, args, &n.Grants); err != nil {
		return n, unavailable("count logins", err)
	}
	if of.Username != "" && of.ClientID == "" && of.Audience == "" {
		err = s.read.scanRow(ctx,
			"SELECT COUNT(*) FROM sessions WHERE expires_at > $1 AND user_id = (SELECT id FROM users WHERE username = $2)",
			[]any{seconds(now), of.Username}, &n.Browsers)
	}
	return n, unavailable("count logins", err)
}

// LogOut ends all logins of a user, in browsers and at clients; with a client, only those at this client.
// Codes that the client has not redeemed end too. It returns record.ErrNotFound if there is no such user
// or client. It locks the user first, like everything that ends sessions.
func (s *Store) LogOut(ctx context.Context, username, clientID string, now time.Time) error {
	return s.inTx(ctx, "log out", func(ctx context.Context, tx transaction) error {
		if clientID == "" {
			_, err := updateAndEndLogins(ctx, tx, "log out", now, lockUser+"username = $1", username)
			if err != nil {
				return err
			}
			return auditAdmin(ctx, tx, "user_logged_out", username, now)
		}
		if err := changedOne(ctx, tx, "log out", errNoUser, lockUser+"username = $1", username); err != nil {
			return err
		}
		if err := s.logOutOf(ctx, tx, username, clientID, now); err != nil {
			return err
		}
		return auditAdmin(ctx, tx, "user_logged_out", username, now, "client", clientID)
	})
}

// logOutOf ends the logins of a user, who is locked, at a client.
func (s *Store) logOutOf(ctx context.Context, tx transaction, username, clientID string, now time.Time) error {
	err := tx.QueryRowContext(ctx, "SELECT id FROM clients WHERE id = $1 "+s.dialect.keyShare, clientID).Scan(&clientID)
	if errors.Is(err, sql.ErrNoRows) {
		return errNoClient
	}
	if err != nil {
		return unavailable("log out", err)
	}
	if err := addNotices(ctx, tx, now, ofUser+" AND grants.client_id = $3", username, clientID); err != nil {
		return err
	}
	_, err = changed(ctx, tx, "delete codes",
		"DELETE FROM codes WHERE client_id = $2 AND redeemed_at IS NULL "+
			"AND user_id = (SELECT id FROM users WHERE username = $1)", username, clientID)
	if err != nil {
		return err
	}
	_, err = revokeGrants(ctx, tx, now,
		"user_id = (SELECT id FROM users WHERE username = $3) AND client_id = $4", username, clientID)
	return err
}
