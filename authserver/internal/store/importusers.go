package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/database"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// ImportBatch is how many users ImportUsers takes at once.
const ImportBatch = 100

// importTries limits the tries of ImportUsers, which reads again if another process adds one of the users meanwhile.
const importTries = 10

// ErrPresent is the result of a user who is there already, from an earlier import of the same file.
var ErrPresent = errors.New("the user is already there")

// errRaced means that another process has added a user with the name or address of one in a batch.
var errRaced = errors.New("another process adds the same users")

// Importer adds users in batches. It is not safe for concurrent use.
type Importer struct {
	store *Store
	// planned, unless nil, are the keys of the users that would have been added: it is a dry run.
	planned map[string]struct{}
	batches int // how many were added
}

// NewImporter returns an importer. In a dry run it adds nobody, but results are the same.
func (s *Store) NewImporter(dryRun bool) *Importer {
	i := &Importer{store: s}
	if dryRun {
		i.planned = map[string]struct{}{}
	}
	return i
}

// Add adds up to ImportBatch users in one transaction, and returns why each of them was not added: nil if it was,
// ErrPresent if the user is there, record.ErrExists if another user has the username or one that looks the same, or
// account.ErrEmailTaken if another user has the verified email address as such. A user is there if the id is, or if
// the username is with the same password hash and email address. err is an error of the database: nobody was added.
func (i *Importer) Add(ctx context.Context, users []account.User, now time.Time) (why []error, err error) {
	if len(users) == 0 || len(users) > ImportBatch {
		return nil, fmt.Errorf("a batch of %d users", len(users))
	}
	if i.batches == 0 { // all servers that can run beside this one store skeletons
		if err := i.store.fillSkeletons(ctx); err != nil {
			return nil, err
		}
	}
	i.batches++
	for range importTries {
		found, err := i.store.findImported(ctx, users)
		if err != nil {
			return nil, err
		}
		found.planned = i.planned
		var added []account.User
		why = make([]error, len(users))
		for n, u := range users {
			if why[n] = found.conflict(u); why[n] == nil {
				found.add(u)
				added = append(added, u)
			}
		}
		if i.planned != nil || len(added) == 0 {
			return why, nil
		}
		if err = i.store.importUsers(ctx, added, now); !errors.Is(err, errRaced) {
			i.analyze(ctx)
			return why, err
		}
	}
	return nil, errRaced
}

// analyze lets PostgreSQL count the users again after the first batches: while it believes that the table is small, it
// reads all of it for every batch. An error does not matter, such as that of a role that may not do it.
func (i *Importer) analyze(ctx context.Context) {
	if i.store.db.Engine == database.PostgreSQL && slices.Contains([]int{3, 30, 300}, i.batches) {
		_, _ = i.store.exec(ctx, "analyze", "ANALYZE users")
	}
}

// importUsers adds users who have no conflict with each other. It returns errRaced, and adds none, if they have one
// with other users.
func (s *Store) importUsers(ctx context.Context, users []account.User, now time.Time) error {
	var verified []string
	for _, u := range users {
		if u.EmailVerified {
			verified = append(verified, account.FoldEmail(u.Email))
		}
	}
	return s.inTx(ctx, "import users", func(ctx context.Context, tx transaction) error {
		if err := s.lockEmails(ctx, tx, verified, now); err != nil {
			return err
		}
		rows := make([][]any, 0, len(users))
		for _, u := range users {
			rows = append(rows, userValues(u, account.Skeleton(u.Username)))
		}
		n, err := insertRows(ctx, tx, "import users", "users ("+userColumns+", skeleton)", "ON CONFLICT DO NOTHING", rows)
		if err == nil && n < int64(len(users)) {
			err = errRaced
		}
		if err != nil {
			return err
		}
		if len(verified) > 0 {
			var owners int
			err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM users WHERE email_verified = 1 AND lower(email) IN "+batchList,
				batchOf(verified)...).Scan(&owners)
			if err != nil {
				return unavailable("import users", err)
			}
			if owners > len(verified) {
				return errRaced
			}
		}
		return auditAdmin(ctx, tx, "users_imported", fmt.Sprintf("%d users", len(users)), now,
			rights, rightsGiven(false, someAdminister(users)))
	})
}

// someAdminister reports whether one of the users is in the group of administrators.
func someAdminister(users []account.User) bool {
	return slices.ContainsFunc(users, func(u account.User) bool { return slices.Contains(u.Groups, account.AdminGroup) })
}

// lockEmails is lockEmail for several addresses. Each importer takes them in the same order.
func (s *Store) lockEmails(ctx context.Context, tx transaction, emails []string, now time.Time) error {
	if len(emails) == 0 {
		return nil
	}
	slices.Sort(emails)
	if err := s.lockEmail(ctx, tx, emails[0], now); err != nil { // deletes old locks
		return err
	}
	rows := make([][]any, 0, len(emails))
	for _, email := range emails[1:] {
		rows = append(rows, []any{secret.Digest("address " + email), seconds(now)})
	}
	_, err := insertRows(ctx, tx, "lock", "locks (digest, locked_at)",
		"ON CONFLICT (digest) DO UPDATE SET locked_at = excluded.locked_at", rows)
	return err
}

// insertRows inserts rows, ImportBatch at once if there are so many, and one after the other if not: so there are only
// two statements, which the database keeps prepared. It returns how many were changed.
func insertRows(
	ctx context.Context,
	tx transaction,
	doing, into, onConflict string,
	rows [][]any,
) (total int64, err error) {
	size := 1
	if len(rows) == ImportBatch {
		size = ImportBatch
	}
	for chunk := range slices.Chunk(rows, size) {
		n, err := changed(ctx, tx, doing, "INSERT INTO "+into+" VALUES "+placeholders(size, len(chunk[0]))+" "+onConflict,
			slices.Concat(chunk...)...)
		if err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}

// placeholders returns those of several rows: ($1, $2), ($3, $4).
func placeholders(rows, columns int) string {
	var b strings.Builder
	for i := range rows * columns {
		switch {
		case i%columns > 0:
			b.WriteString(", ")
		case i > 0:
			b.WriteString("), (")
		default:
			b.WriteString("(")
		}
		fmt.Fprintf(&b, "$%d", i+1)
	}
	return b.String() + ")"
}

// batchList is a list of ImportBatch placeholders, for what batchOf returns.
var batchList = placeholders(1, ImportBatch)

// batchOf returns ImportBatch arguments: the values, of which the last is repeated.
func batchOf(values []string) []any {
	args := make([]any, ImportBatch)
	for i := range args {
		args[i] = values[min(i, len(values)-1)]
	}
	return args
}
