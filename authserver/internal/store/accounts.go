package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// ChangeName sets the display name of a user. It returns record.ErrNotFound if the user is disabled or deleted.
func (s *Store) ChangeName(ctx context.Context, userID, name string, now time.Time) error {
	return s.inTx(ctx, "change name", func(ctx context.Context, tx transaction) error {
		n, err := changed(ctx, tx, "change name",
			"UPDATE users SET name = $2, updated_at = $3 WHERE id = $1 AND disabled_at IS NULL", userID, name, seconds(now))
		if err == nil && n == 0 {
			err = errNoUser
		}
		if err != nil {
			return err
		}
		return recordOf(ctx, tx, "account_name_changed", userID, now)
	})
}

// ChangePassword sets the password hash of a user, who is no demo user from then on, and asks for a mail to the user.
// It ends the user's logins as EndOtherLogins does, and deletes the user's failed logins. It returns
// account.ErrChanged if the user is disabled or deleted, or the password has been changed since user was read.
func (s *Store) ChangePassword(ctx context.Context, user account.User, hash, keep string, now time.Time) error {
	return s.inTx(ctx, "change password", func(ctx context.Context, tx transaction) error {
		n, err := changed(ctx, tx, "change password",
			"UPDATE users SET password_hash = $3, password_version = password_version + 1, demo = 0 "+
				"WHERE id = $1 AND password_version = $2 AND disabled_at IS NULL", user.ID, user.PasswordVersion, hash)
		if err == nil && n == 0 {
			err = account.ErrChanged
		}
		if err == nil {
			err = endAll(ctx, tx, user.ID, keep, now)
		}
		if err == nil {
			err = forgetPlaces(ctx, tx, user.ID)
		}
		if err == nil {
			err = recordOf(ctx, tx, "account_password_changed", user.ID, now)
		}
		if err != nil {
			return err
		}
		return s.addMail(ctx, tx, mail.Request{Kind: mail.PasswordChanged, UserID: user.ID, CreatedAt: now})
	})
}

// EndOtherLogins ends all logins of a user, in browsers and at clients, but the session with the digest keep and the
// grants given in it. It returns record.ErrNotFound if there is no such user. It locks the user first, like
// everything that ends sessions.
func (s *Store) EndOtherLogins(ctx context.Context, userID, keep string, now time.Time) error {
	return s.inTx(ctx, "end other logins", func(ctx context.Context, tx transaction) error {
		n, err := changed(ctx, tx, "lock user", "UPDATE users SET last_login_at = last_login_at WHERE id = $1", userID)
		if err == nil && n == 0 {
			err = errNoUser
		}
		if err != nil {
			return err
		}
		if err := recordOf(ctx, tx, "account_logins_ended", userID, now); err != nil {
			return err
		}
		return endOthers(ctx, tx, userID, keep, now)
	})
}

// endAll ends all logins of a user, who is locked, but the session keep: somebody else may have copied its cookie, and
// have logged in to apps with it. Those of the user get another login without a question.
func endAll(ctx context.Context, tx transaction, userID, keep string, now time.Time) error {
	err := addNotices(ctx, tx, now, "grants.user_id = $2 AND "+ofActive, userID)
	if err != nil {
		return err
	}
	if _, err := changed(ctx, tx, "end codes", "DELETE FROM codes WHERE user_id = $1", userID); err != nil {
		return err
	}
	_, err = changed(ctx, tx, "end sessions", "DELETE FROM sessions WHERE user_id = $1 AND digest <> $2", userID, keep)
	if err != nil {
		return err
	}
	_, err = revokeGrants(ctx, tx, now, "user_id = $3", userID)
	return err
}

// endOthers ends all logins of a user, who is locked, but the session keep and its grants.
func endOthers(ctx context.Context, tx transaction, userID, keep string, now time.Time) error {
	err := addNotices(ctx, tx, now, "grants.user_id = $2 AND grants.session <> $3 AND "+ofActive, userID, keep)
	if err != nil {
		return err
	}
	_, err = changed(ctx, tx, "end sessions", "DELETE FROM sessions WHERE user_id = $1 AND digest <> $2", userID, keep)
	if err != nil {
		return err
	}
	_, err = revokeGrants(ctx, tx, now, "user_id = $3 AND session <> $4", userID, keep)
	return err
}

// EndLogin revokes a grant of a user, and the client is told. It returns record.ErrNotFound if the grant is not this
// user's, or has ended.
func (s *Store) EndLogin(ctx context.Context, userID string, number int64, now time.Time) error {
	return s.inTx(ctx, "end login", func(ctx context.Context, tx transaction) error {
		err := addNotices(ctx, tx, now,
			"grants.number = $2 AND grants.user_id = $3 AND grants.revoked_at IS NULL", number, userID)
		if err != nil {
			return err
		}
		n, err := revokeGrants(ctx, tx, now, "number = $3 AND user_id = $4", number, userID)
		if err == nil && n == 0 {
			err = errNoGrant
		}
		if err != nil {
			return err
		}
		event := ended(ctx, userID, "account_login_ended", "user_login_ended")
		return recordOf(ctx, tx, event, userID, now, "grant", strconv.FormatInt(number, 10))
	})
}

// DeleteAccount deletes a user as DeleteUser does, but logs no username. It returns account.ErrChanged if the user is
// disabled or deleted, or the password has been changed since user was read, and account.ErrLastAdministrator for the
// last administrator.
func (s *Store) DeleteAccount(ctx context.Context, user account.User, now time.Time) error {
	err := s.inTx(ctx, "delete account", func(ctx context.Context, tx transaction) error {
		if err := KeepAdministrator(ctx, s, tx, user.Username); err != nil {
			return err
		}
		err := endSessions(ctx, tx, "delete account", user.Username, now,
			"UPDATE users SET disabled_at = $3 WHERE id = $1 AND password_version = $2 AND disabled_at IS NULL",
			user.ID, user.PasswordVersion, seconds(now))
		if err != nil {
			return err
		}
		_, err = changed(ctx, tx, "rename events", // that no server has logged yet
			"UPDATE admin_events SET subject = $3 WHERE subject = $1 AND event LIKE 'user_%' "+
				"OR subject = $2 AND event LIKE 'invitation_%'", user.Username, user.Email, user.ID)
		if err != nil {
			return err
		}
		if err := recordOf(ctx, tx, "account_deleted", user.ID, now); err != nil {
			return err
		}
		return s.deleteUser(ctx, tx, user.Username, now)
	})
	if err == nil {
		err = s.forgetEmail(ctx, user, now)
	}
	if errors.Is(err, record.ErrNotFound) {
		err = account.ErrChanged
	}
	return err
}

// forgetEmail deletes the links and the invitation for the verified email address of a user who is deleted. It is not
// in the transaction that locks the user: SignUp locks them in the other order.
func (s *Store) forgetEmail(ctx context.Context, user account.User, now time.Time) error {
	if !user.EmailVerified {
		return nil // it may be somebody else's
	}
	return s.inTx(ctx, "forget email", func(ctx context.Context, tx transaction) error {
		if err := s.lockEmail(ctx, tx, user.Email, now); err != nil {
			return err
		}
		for _, query := range []string{
			"DELETE FROM sign_ups WHERE address = $1", "DELETE FROM invitations WHERE address = $1",
		} {
			if _, err := changed(ctx, tx, "forget email", query, account.FoldEmail(user.Email)); err != nil {
				return err
			}
		}
		return forgetPseudonym(ctx, tx, user.Email)
	})
}

// deleteUser deletes a user, who is locked, and what other tables than those that refer to the user have of the user.
// The revoked grants stay, without the user, until their last token has expired.
func (s *Store) deleteUser(ctx context.Context, tx transaction, username string, now time.Time) error {
	var id, email, language string
	var verified bool
	err := tx.QueryRowContext(ctx, "SELECT id, email, email_verified, language FROM users WHERE username = $1", username).
		Scan(&id, &email, &verified, &language)
	if err != nil {
		return unavailable("delete user", err)
	}
	if err := clearFailures(ctx, tx, id); err != nil {
		return err
	}
	for _, step := range []struct {
		query string
		args  []any
	}{
		{"UPDATE grants SET session = '', sid = '', address = '', agent = '' WHERE user_id = $1", []any{id}},
		{"UPDATE mail_requests SET due_at = NULL, typed = '', user_id = '' WHERE user_id = $1 " +
			"OR typed <> '' AND kind = $4 AND lower(typed) IN (lower($2), lower($3))",
			[]any{id, username, email, mail.ResetPassword}},
		{"DELETE FROM inbox_mails WHERE lower(recipient) = lower($1)", []any{email}},
		{"DELETE FROM users WHERE id = $1", []any{id}},
	} {
		if _, err := changed(ctx, tx, "delete user", step.query, step.args...); err != nil {
			return err
		}
	}
	if !verified {
		return nil
	}
	return s.addMail(ctx, tx, mail.Request{
		Kind: mail.AccountDeleted, Typed: email, Language: language, CreatedAt: now,
	})
}

// BrowserSession is a browser that a user is logged in with.
type BrowserSession struct {
	// Digest is the digest of the session's cookie.
	Digest string
	// CreatedAt is when the user logged in, ExpiresAt when the session ends.
	CreatedAt, ExpiresAt time.Time
	// Methods are how the user has logged in (amr).
	Methods []string
	// Place is where the user has logged in from.
	Place account.Place
}

// BrowserSessions returns up to limit sessions of a user that have not expired at now, newest first.
func (s *Store) BrowserSessions(
	ctx context.Context,
	userID string,
	now time.Time,
	limit int,
) ([]BrowserSession, error) {
	return list(ctx, s.read, "list sessions", func(r row) (b BrowserSession, err error) {
		var created, expires sql.NullInt64
		var methods string
		err = r.Scan(&b.Digest, &created, &expires, &methods, &b.Place.Address, &b.Place.Agent)
		b.CreatedAt, b.ExpiresAt, b.Methods = timeOf(created), timeOf(expires), words(methods)
		return b, unavailable("list sessions", err)
	}, "SELECT digest, created_at, expires_at, methods, address, agent FROM sessions "+
		"WHERE user_id = $1 AND expires_at > $2 ORDER BY created_at DESC, digest LIMIT $3", userID, seconds(now), limit)
}

// AppLogin is a grant of a user to a client.
type AppLogin struct {
	// Number is the number of the grant, Type its type.
	Number int64
	Type   oauth.GrantType
	// ClientID and ClientName are the client; empty if it was deleted.
	ClientID, ClientName string
	// Session is the digest of the browser session in which the grant was given; empty if there was none.
	Session string
	// Audience is the API that the grant is for, Scope what it allows there.
	Audience string
	Scope    oauth.Scope
	// CreatedAt is when the grant was given, ExpiresAt when it ends, and RevokedAt when it was revoked; zero if it was
	// not.
	CreatedAt, ExpiresAt, RevokedAt time.Time
	// Place is where it was given from.
	Place account.Place
}

const (
	selectLogins = "SELECT grants.number, grants.type, grants.client_id, clients.name, grants.session, grants.audience, " +
		"grants.scope, grants.created_at, COALESCE(grants.refresh_expires_at, grants.expires_at), grants.revoked_at, " +
		"grants.address, grants.agent FROM grants LEFT JOIN clients ON clients.id = grants.client_id "
	// isLogin selects the grants that are logins of the user $1 and active at $2. See CountLogins.
	isLogin = "grants.user_id = $1 AND grants.revoked_at IS NULL AND grants.parent IS NULL " +
		"AND COALESCE(grants.refresh_expires_at, grants.expires_at) > $2 "
)

// AppLogins returns up to limit logins of a user at clients that are active at now, newest first.
func (s *Store) AppLogins(ctx context.Context, userID string, now time.Time, limit int) ([]AppLogin, error) {
	return list(ctx, s.read, "list logins", s.scanLogin,
		selectLogins+"WHERE "+isLogin+"AND clients.id IS NOT NULL ORDER BY grants.number DESC LIMIT $3",
		userID, seconds(now), limit)
}

// GrantsOf returns up to limit grants of a user that are stored, newest first, also those that have ended and those
// of token exchanges.
func (s *Store) GrantsOf(ctx context.Context, userID string, limit int) ([]AppLogin, error) {
	return list(ctx, s.read, "list grants", s.scanLogin,
		selectLogins+"WHERE grants.user_id = $1 ORDER BY grants.number DESC LIMIT $2", userID, limit)
}

func (s *Store) scanLogin(r row) (a AppLogin, err error) {
	var id, name sql.NullString
	var created, expires, revoked sql.NullInt64
	var scope string
	err = r.Scan(&a.Number, &a.Type, &id, &name, &a.Session, &a.Audience, &scope, &created, &expires, &revoked,
		&a.Place.Address, &a.Place.Agent)
	a.ClientID, a.ClientName, a.Audience, a.Scope = id.String, name.String, s.audience(a.Audience), words(scope)
	a.CreatedAt, a.ExpiresAt, a.RevokedAt = timeOf(created), timeOf(expires), timeOf(revoked)
	return a, unavailable("list logins", err)
}

// Access is what a client may do at an API for a user: by active grants, or because the user has allowed it.
type Access struct {
	// ClientID and ClientName are the client.
	ClientID, ClientName string
	// Audience is the API, Scope what the client may do there.
	Audience string
	Scope    oauth.Scope
	// Since is when the oldest grant was given, or when the user last allowed more.
	Since time.Time
}

// AccessOf returns what clients may do for a user at now, sorted by the client's name and the API.
func (s *Store) AccessOf(ctx context.Context, userID string, now time.Time) ([]Access, error) {
	rows, err := list(ctx, s.read, "list access", s.scanAccess,
		"SELECT clients.id, clients.name, access.audience, access.scope, access.since FROM ("+
			"SELECT client_id, audience, scope, MIN(created_at) AS since FROM grants WHERE "+isLogin+
			"GROUP BY client_id, audience, scope UNION ALL "+
			"SELECT client_id, audience, scope, updated_at FROM api_consents WHERE user_id = $1) AS access "+
			"JOIN clients ON clients.id = access.client_id ORDER BY clients.name, clients.id, access.audience, access.since",
		userID, seconds(now))
	var merged []Access
	for _, a := range rows {
		last := len(merged) - 1
		if last < 0 || merged[last].ClientID != a.ClientID || merged[last].Audience != a.Audience {
			merged = append(merged, a)
			continue
		}
		for _, token := range a.Scope {
			if !slices.Contains(merged[last].Scope, token) {
				merged[last].Scope = append(merged[last].Scope, token)
			}
		}
	}
	return merged, err
}

func (s *Store) scanAccess(r row) (a Access, err error) {
	var scope string
	var since sql.NullInt64
	err = r.Scan(&a.ClientID, &a.ClientName, &a.Audience, &scope, &since)
	a.Audience, a.Scope, a.Since = s.audience(a.Audience), words(scope), timeOf(since)
	return a, unavailable("list access", err)
}

// ForgetPlaces deletes the places of grants that were given before a time, and the sessions that have ended before it.
func (s *Store) ForgetPlaces(ctx context.Context, before time.Time) error {
	for _, query := range []string{
		"WITH ended AS MATERIALIZED (SELECT digest FROM sessions WHERE expires_at < $1 " +
			"ORDER BY expires_at LIMIT $2 " + s.dialect.skipLocked + ") " +
			"DELETE FROM sessions WHERE digest IN (SELECT digest FROM ended)",
		"WITH old AS MATERIALIZED (SELECT number FROM grants " +
			"WHERE address <> '' AND created_at < $1 ORDER BY created_at LIMIT $2 " + s.dialect.skipLocked + ") " +
			"UPDATE grants SET address = '', agent = '' WHERE number IN (SELECT number FROM old)",
	} {
		for n := int64(forgetSize); n == forgetSize; {
			var err error
			if n, err = s.exec(ctx, "forget places", query, seconds(before), forgetSize); err != nil {
				return err
			}
		}
	}
	return nil
}

// forgetSize is how many rows ForgetPlaces changes at once.
const forgetSize = 1000
