package store

import (
	"context"
	"slices"
	"strings"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

// A Condition must hold for a change of a user. It is checked in the transaction of the change.
type Condition func(ctx context.Context, s *Store, tx transaction, username string) error

// isAdministrator selects the users who administer the server, as account.User.Administers says. It is the condition
// of the index administrators, and more.
const isAdministrator = "replace(' ' || group_names || ' ', ' " + account.AdminGroup + " ', '') " +
	"<> ' ' || group_names || ' ' AND disabled_at IS NULL AND (demo = 0 OR password_version > 0)"

// KeepAdministrator is a Condition. It returns account.ErrLastAdministrator if the user is the last administrator. It
// locks all administrators, always in the same order: if two remove each other, the second waits, and is then refused.
func KeepAdministrator(ctx context.Context, s *Store, tx transaction, username string) error {
	var all, others int
	err := tx.QueryRowContext(ctx, "SELECT COUNT(*), COALESCE(SUM(CASE WHEN username = $1 THEN 0 ELSE 1 END), 0) "+
		"FROM (SELECT username FROM users WHERE "+isAdministrator+" ORDER BY id "+s.dialect.forUpdate+") AS locked",
		username).Scan(&all, &others)
	if err == nil && all == 1 && others == 0 {
		return account.ErrLastAdministrator
	}
	return unavailable("lock administrators", err)
}

// Unless returns a Condition that locks the user, and returns the error of refuse for the user as it is now.
func Unless(refuse func(account.User) error) Condition {
	return func(ctx context.Context, s *Store, tx transaction, username string) error {
		u, err := scanUser(tx.QueryRowContext(ctx,
			"SELECT "+userColumns+" FROM users WHERE username = $1 "+s.dialect.forUpdate, username))
		if err != nil {
			return err
		}
		return refuse(u)
	}
}

// check checks the conditions of a change of a user.
func (s *Store) check(ctx context.Context, tx transaction, username string, conditions []Condition) error {
	for _, holds := range conditions {
		if err := holds(ctx, s, tx, username); err != nil {
			return err
		}
	}
	return nil
}

// Administrators returns how many users administer the server.
func (s *Store) Administrators(ctx context.Context) (n int, err error) {
	err = s.read.scanRow(ctx, "SELECT COUNT(*) FROM users WHERE "+isAdministrator, nil, &n)
	return n, unavailable("count administrators", err)
}

// Group is a group of users.
type Group struct {
	// Name is its name.
	Name string
	// Members is how many users are in it, also disabled ones.
	Members int64
}

// Groups returns the groups that users are in, sorted by name. It reads an index, and not all users.
func (s *Store) Groups(ctx context.Context) ([]Group, error) {
	type combination struct {
		names   string
		members int64
	}
	found, err := list(ctx, s.read, "list groups", func(r row) (c combination, err error) {
		return c, unavailable("list groups", r.Scan(&c.names, &c.members))
	}, "SELECT group_names, COUNT(*) FROM users WHERE group_names <> '' AND length(group_names) <= 1000 "+
		"GROUP BY group_names UNION ALL "+
		"SELECT group_names, COUNT(*) FROM users WHERE length(group_names) > 1000 GROUP BY group_names")
	members := map[string]int64{}
	for _, c := range found {
		for _, name := range words(c.names) {
			members[name] += c.members
		}
	}
	var groups []Group
	for name, n := range members {
		groups = append(groups, Group{name, n})
	}
	slices.SortFunc(groups, func(a, b Group) int { return strings.Compare(a.Name, b.Name) })
	return groups, err
}
