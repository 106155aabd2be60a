package items

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/hallpass-auth/hallpass/shared/database"
)

// The statements whose rows scanItem reads.
const (
	selectItems = "SELECT items.owner, owners.name, items.number, items.title, items.note, items.tag, " +
		"items.created_at, items.updated_at FROM items JOIN owners ON owners.owner = items.owner"
	selectItem = selectItems + " WHERE items.owner = $1 AND items.number = $2"
)

// contains has the condition that a folded title contains a parameter. LIKE would treat % and _ in it as wildcards.
var contains = map[database.Engine]string{
	database.SQLite:     "instr(items.folded, $%d) > 0",
	database.PostgreSQL: "strpos(items.folded, $%d) > 0",
}

// Get returns an item of an owner. It returns ErrNotFound if the item is not written.
func (s *Store) Get(ctx context.Context, owner string, number int64) (Item, error) {
	db, err := s.opened()
	if err != nil {
		return Item{}, err
	}
	return database.One(ctx, db.Read, scanItem, selectItem, owner, number)
}

// Position is the place of an item in a list, which is sorted by owner and number.
type Position struct {
	Owner  string
	Number int64
}

// Start is the place of the first item.
var Start = Position{Number: math.MinInt64}

// Query says which items to list.
type Query struct {
	Owner string   // whose items; empty for everybody's
	From  Position // the place of the first item; the owner counts only in a list of everybody's
	Text  string   // what the title contains in upper or lower case; empty for any
	Limit int      // how many items at most, at least 1
}

// List returns the items of a query and the place of the one after them, or nil if they are the last. If a list is
// read in several pages while others write, each item that is there all the time is in one of them.
func (s *Store) List(ctx context.Context, q Query) (page []Item, next *Position, err error) {
	db, err := s.opened()
	if err != nil {
		return nil, nil, err
	}
	where, args := "(items.owner, items.number) >= ($1, $2)", []any{q.From.Owner, q.From.Number}
	if q.Owner != "" {
		where, args = "items.owner = $1 AND items.number >= $2", []any{q.Owner, q.From.Number}
	}
	if q.Text != "" {
		args = append(args, fold(q.Text))
		where += " AND " + fmt.Sprintf(contains[db.Engine], len(args))
	}
	args = append(args, q.Limit+1)
	query := fmt.Sprintf("%s WHERE %s ORDER BY items.owner, items.number LIMIT $%d", selectItems, where, len(args))
	page, err = database.List(ctx, db.Read, "list items", scanItem, query, args...)
	if err != nil || len(page) <= q.Limit {
		return page, nil, err
	}
	after := page[q.Limit]
	return page[:q.Limit], &Position{after.Owner.ID, after.Number}, nil
}

// scanItem returns the item in a row of selectItems, or ErrNotFound if there is no row.
func scanItem(r database.Row) (Item, error) {
	var i Item
	var created, updated int64
	err := r.Scan(&i.Owner.ID, &i.Owner.Name, &i.Number, &i.Title, &i.Note, &i.Tag, &created, &updated)
	if errors.Is(err, sql.ErrNoRows) {
		return Item{}, ErrNotFound
	}
	i.CreatedAt, i.UpdatedAt = timeOf(created), timeOf(updated)
	return i, database.Unavailable("read item", err)
}

// timeOf returns a time that is stored in Unix seconds.
func timeOf(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }
