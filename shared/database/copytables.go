package database

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3"
)

// table is a table of the original.
type table struct {
	name       string
	columns    []string
	references []string // tables that it references
	rows       int64
	serial     string // column that numbers rows, or ""
	last       int64  // last number that it gave to a row
}

// tables returns the tables of the schema, each after those that it references.
func (l *SQLiteLock) tables(ctx context.Context) ([]*table, error) {
	names, err := l.texts(ctx, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' "+
		"ESCAPE '\\' AND name <> $1 ORDER BY name", goose.DefaultTablename)
	if err != nil {
		return nil, err
	}
	var all []*table
	for _, name := range names {
		t, err := l.table(ctx, name)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return sorted(all)
}

func (l *SQLiteLock) table(ctx context.Context, name string) (t *table, err error) {
	t = &table{name: name}
	if t.columns, err = l.texts(ctx, "SELECT name FROM pragma_table_info($1) ORDER BY cid", name); err != nil {
		return nil, err
	}
	if t.references, err = l.texts(ctx, `SELECT DISTINCT "table" FROM pragma_foreign_key_list($1)`, name); err != nil {
		return nil, err
	}
	if err := l.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+quote(name)).Scan(&t.rows); err != nil {
		return nil, err
	}
	// Only tables with a serial, which is their primary key, are in sqlite_sequence.
	err = l.QueryRowContext(ctx, "SELECT seq, (SELECT name FROM pragma_table_info($1) WHERE pk = 1) "+
		"FROM sqlite_sequence WHERE name = $1", name).Scan(&t.last, &t.serial)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return t, err
}

// texts returns the results of a query for texts.
func (l *SQLiteLock) texts(ctx context.Context, query string, args ...any) (texts []string, err error) {
	rows, err := l.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, rows.Err()
}

// sorted returns the tables in an order in which each comes after those that it references.
func sorted(all []*table) (order []*table, err error) {
	placed := map[string]bool{}
	for len(order) < len(all) {
		before := len(order)
		for _, t := range all {
			waits := func(name string) bool { return name != t.name && !placed[name] }
			if !placed[t.name] && !slices.ContainsFunc(t.references, waits) {
				placed[t.name] = true
				order = append(order, t)
			}
		}
		if len(order) == before {
			return nil, errors.New("tables reference each other in a circle")
		}
	}
	return order, nil
}

// quote quotes a name, on both engines.
func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// selectAll returns the query for all rows of a table.
func (t *table) selectAll() string {
	query := "SELECT "
	for i, column := range t.columns {
		if i > 0 {
			query += ", "
		}
		query += quote(column)
	}
	return query + " FROM " + quote(t.name)
}
