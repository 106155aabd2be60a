package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/hallpass-auth/hallpass/shared/database"
	"github.com/jackc/pgx/v5"
)

// ErrOwner means that a role that should only use the database can change its audit log.
var ErrOwner = errors.New("the role can change the audit log")

// Role returns the role of the connections in PostgreSQL; empty for SQLite, which has none.
func (s *Store) Role(ctx context.Context) (role string, err error) {
	if s.db.Engine != database.PostgreSQL {
		return "", nil
	}
	err = s.write.scanRow(ctx, "SELECT current_user", nil, &role)
	return role, unavailable("read the role", err)
}

// grantsLock is the name of the lock under which one server at a time grants.
const grantsLock = "SELECT pg_advisory_xact_lock(hashtext('hallpass grants'))"

// GrantTo lets a role of PostgreSQL do what servers and commands do with the tables of this store, whose role owns
// them. It can add to the audit log and read it, but not change it.
func (s *Store) GrantTo(ctx context.Context, role string) error {
	return s.inTx(ctx, "grant privileges", func(ctx context.Context, tx transaction) error {
		var schema string
		if err := tx.QueryRowContext(ctx, "SELECT current_schema()").Scan(&schema); err != nil {
			return unavailable("grant privileges", err)
		}
		in, to := pgx.Identifier{schema}.Sanitize(), pgx.Identifier{role}.Sanitize()
		for _, statement := range []string{
			grantsLock,
			"GRANT USAGE ON SCHEMA " + in + " TO " + to,
			"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA " + in + " TO " + to,
			"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA " + in + " TO " + to,
			"REVOKE UPDATE, DELETE ON audit_records, audit_chain FROM " + to,
			"REVOKE INSERT, UPDATE, DELETE ON audit_cuts FROM " + to,
			"GRANT EXECUTE ON FUNCTION audit_cut(BIGINT), audit_drop(BIGINT) TO " + to,
		} {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return unavailable("grant privileges", err)
			}
		}
		return nil
	})
}

// CheckRole returns ErrOwner if the role of this store can change or empty the audit log in PostgreSQL, or owns its
// tables or functions, so that it can take the triggers away.
func (s *Store) CheckRole(ctx context.Context) error {
	var can bool
	err := s.write.scanRow(ctx, "SELECT bool_or(has_table_privilege(c.oid, 'UPDATE') OR "+
		"has_table_privilege(c.oid, 'DELETE') OR has_table_privilege(c.oid, 'TRUNCATE') OR "+
		"has_table_privilege(c.oid, 'TRIGGER') OR c.relname = 'audit_cuts' AND has_table_privilege(c.oid, 'INSERT') OR "+
		"pg_has_role(c.relowner, 'MEMBER')) FROM pg_class AS c WHERE c.oid IN "+
		"('audit_records'::regclass, 'audit_chain'::regclass, 'audit_cuts'::regclass)", nil, &can)
	if err == nil && can {
		role, _ := s.Role(ctx) // for the text only
		return fmt.Errorf("%w: %s owns its tables or may write to them", ErrOwner, role)
	}
	return unavailable("check the role", err)
}
