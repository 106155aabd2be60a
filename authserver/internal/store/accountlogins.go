package store

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

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

// ForgetPlaces deletes the places of grants that were given before a time. Those of sessions are deleted with
// the sessions: see Sweep.
func (s *Store) ForgetPlaces(ctx context.Context, before time.Time) error {
	query := "WITH old AS MATERIALIZED (SELECT number FROM grants " +
		"WHERE address <> '' AND created_at < $1 ORDER BY created_at LIMIT $2 " + s.dialect.skipLocked + ") " +
		"UPDATE grants SET address = '', agent = '' WHERE number IN (SELECT number FROM old)"
	for n := int64(forgetSize); n == forgetSize; {
		var err error
		if n, err = s.exec(ctx, "forget places", query, seconds(before), forgetSize); err != nil {
			return err
		}
	}
	return nil
}

// forgetSize is how many rows ForgetPlaces changes at once.
const forgetSize = 1000
