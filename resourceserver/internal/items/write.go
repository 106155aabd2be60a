package items

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/hallpass-auth/hallpass/shared/database"
)

// sweepSize is how many expired idempotency keys are deleted at most with each new one.
const sweepSize = 10

// Create writes a new item and gives it the least number that no item of the owner has, and that Create has not
// given before. With a key that was used before, it changes nothing and returns the item as it was made then.
// It returns ErrKeyReused, ErrTooManyKeys or ErrTooMany if that is why it does not.
func (s *Store) Create(ctx context.Context, owner Owner, d Draft, key Key, now time.Time) (item Item, err error) {
	db, err := s.opened()
	if err != nil {
		return Item{}, err
	}
	err = inTx(ctx, db, "create item", func(ctx context.Context, tx database.Tx) error {
		least, count, err := lockOwner(ctx, tx, owner)
		if err != nil {
			return err
		}
		if key != (Key{}) {
			var found bool
			item, found, err = replayed(ctx, tx, owner, d, key, now)
			if err != nil || found {
				return err
			}
		}
		if count >= MaxItems {
			return refusal{ErrTooMany}
		}
		if key != (Key{}) {
			if err := checkKeys(ctx, tx, owner, now); err != nil {
				return err
			}
		}
		item, err = add(ctx, tx, owner, least, d, now)
		if err != nil || key == (Key{}) {
			return err
		}
		return remember(ctx, tx, db.Engine, item, key, now)
	})
	return item, err
}

// Change decides what to write in place of an item, or of none if old is nil. It may be called more than once,
// and must have no effects.
type Change func(old *Item) (Draft, error)

// Write writes an item of an owner if the condition holds, else it returns ErrCondition. It returns the errors
// of change, and ErrTooMany. created reports whether the item was not written before.
func (s *Store) Write(
	ctx context.Context,
	owner Owner,
	number int64,
	c Condition,
	change Change,
	now time.Time,
) (item Item, created bool, err error) {
	db, err := s.opened()
	if err != nil {
		return Item{}, false, err
	}
	err = inTx(ctx, db, "write item", func(ctx context.Context, tx database.Tx) error {
		next, count, err := lockOwner(ctx, tx, owner)
		if err != nil {
			return err
		}
		old, err := current(ctx, tx, owner.ID, number)
		if err != nil {
			return err
		}
		if !c.holds(old) {
			return refuse(ctx, tx, owner.ID, ErrCondition)
		}
		d, err := change(old)
		if err != nil {
			return refuse(ctx, tx, owner.ID, err)
		}
		item, created = newItem(owner, number, d, now), old == nil
		if !created {
			item.Owner, item.CreatedAt = old.Owner, old.CreatedAt
			return update(ctx, tx, item)
		}
		if count >= MaxItems {
			return refusal{ErrTooMany}
		}
		return insert(ctx, tx, item, next)
	})
	return item, created, err
}

// Delete deletes an item of an owner if the condition holds, else it returns ErrCondition. It returns
// ErrNotFound if the item is not written and the condition allows that.
func (s *Store) Delete(ctx context.Context, owner string, number int64, c Condition) error {
	db, err := s.opened()
	if err != nil {
		return err
	}
	return inTx(ctx, db, "delete item", func(ctx context.Context, tx database.Tx) error {
		old, err := lockItem(ctx, tx, owner, number)
		if err != nil {
			return err
		}
		switch {
		case !c.holds(old):
			return refusal{ErrCondition}
		case old == nil:
			return refusal{ErrNotFound}
		}
		const remove = "DELETE FROM items WHERE owner = $1 AND number = $2"
		n, err := database.Changed(ctx, tx, "delete item", remove, owner, number)
		switch {
		case err != nil:
			return err
		case n == 0:
			return refusal{ErrNotFound}
		}
		_, err = database.Changed(ctx, tx, "count items", "UPDATE owners SET items = items - 1 WHERE owner = $1", owner)
		return err
	})
}

// lockItem locks an owner, if there is one, until the transaction ends. It returns the owner's item, or nil if it is
// not written. Without an owner there is no lock, so it does not look for an item that is being written meanwhile.
func lockItem(ctx context.Context, tx database.Tx, owner string, number int64) (*Item, error) {
	const lock = "UPDATE owners SET items = items WHERE owner = $1"
	n, err := database.Changed(ctx, tx, "lock owner", lock, owner)
	if err != nil || n == 0 {
		return nil, err
	}
	return current(ctx, tx, owner, number)
}

// refusal is the reason why a write leaves the items as they are. It is not an error of the transaction: on SQLite,
// that would undo the writes of other requests, which would then run again.
type refusal struct{ error }

// inTx runs steps like database.DB.InTx. If they return a refusal, it commits, and returns the reason.
func inTx(
	ctx context.Context,
	db *database.DB,
	doing string,
	steps func(context.Context, database.Tx) error,
) error {
	var reason error
	err := db.InTx(ctx, doing, func(ctx context.Context, tx database.Tx) error {
		err := steps(ctx, tx)
		var refused refusal
		if errors.As(err, &refused) {
			reason = refused.error
			return nil
		}
		reason = nil
		return err
	})
	if err != nil {
		return err
	}
	return reason
}

// refuse returns the reason as a refusal. It removes an owner who has had no items, whom lockOwner may have added.
func refuse(ctx context.Context, tx database.Tx, owner string, reason error) error {
	const remove = "DELETE FROM owners WHERE owner = $1 AND items = 0 AND next_number = 1"
	if _, err := database.Changed(ctx, tx, "remove owner", remove, owner); err != nil {
		return err
	}
	return refusal{reason}
}

// newItem returns an item that is written now, with a new tag.
func newItem(owner Owner, number int64, d Draft, now time.Time) Item {
	now = timeOf(now.Unix())
	return Item{
		Owner: owner, Number: number, Title: d.Title, Note: d.Note, Tag: newTag(), CreatedAt: now, UpdatedAt: now,
	}
}

// lockOwner locks an owner, who is added if needed, until the transaction ends. It returns the least number for
// a new item, and how many items there are. It stores the owner's name unless that is empty.
func lockOwner(ctx context.Context, tx database.Tx, owner Owner) (next, count int64, err error) {
	err = tx.QueryRowContext(ctx,
		"INSERT INTO owners (owner, name, next_number, items) VALUES ($1, $2, 1, 0) ON CONFLICT (owner) "+
			"DO UPDATE SET name = CASE WHEN excluded.name = '' THEN owners.name ELSE excluded.name END "+
			"RETURNING next_number, items", owner.ID, owner.Name).Scan(&next, &count)
	return next, count, database.Unavailable("lock owner", err)
}

// current returns the item as it is, or nil if it is not written.
func current(ctx context.Context, tx database.Tx, owner string, number int64) (*Item, error) {
	item, err := scanItem(tx.QueryRowContext(ctx, selectItem, owner, number))
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, nil //nolint:nilnil // no item
	case err != nil:
		return nil, err
	}
	return &item, nil
}

// freeNumber returns the least number that no item of the owner has, of those from least on.
func freeNumber(ctx context.Context, tx database.Tx, owner string, least int64) (int64, error) {
	item, err := current(ctx, tx, owner, least)
	if err != nil || item == nil {
		return least, err
	}
	// Items are few, so the number after a gap is far below the end of 64 bits.
	var number int64
	err = tx.QueryRowContext(ctx,
		"SELECT number + 1 FROM items WHERE owner = $1 AND number >= $2 AND number < $3 AND NOT EXISTS "+
			"(SELECT 1 FROM items AS other WHERE other.owner = items.owner AND other.number = items.number + 1) "+
			"ORDER BY number LIMIT 1", owner, least, least+MaxItems+1).Scan(&number)
	return number, database.Unavailable("find a number", err)
}

// add adds a new item, whose number is least or the next one that is free.
func add(ctx context.Context, tx database.Tx, owner Owner, least int64, d Draft, now time.Time) (Item, error) {
	number, err := freeNumber(ctx, tx, owner.ID, least)
	if err != nil {
		return Item{}, err
	}
	item := newItem(owner, number, d, now)
	return item, insert(ctx, tx, item, number+1)
}

// insert adds an item. next is the least number for the item after it.
func insert(ctx context.Context, tx database.Tx, i Item, next int64) error {
	_, err := database.Changed(ctx, tx, "create item",
		"INSERT INTO items (owner, number, title, note, folded, tag, created_at, updated_at) "+
			"VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
		i.Owner.ID, i.Number, i.Title, i.Note, fold(i.Title), i.Tag, i.CreatedAt.Unix(), i.UpdatedAt.Unix())
	if err != nil {
		return err
	}
	_, err = database.Changed(ctx, tx, "count items",
		"UPDATE owners SET items = items + 1, next_number = $2 WHERE owner = $1", i.Owner.ID, next)
	return err
}

// update writes another state of an item.
func update(ctx context.Context, tx database.Tx, i Item) error {
	_, err := database.Changed(ctx, tx, "write item",
		"UPDATE items SET title = $3, note = $4, folded = $5, tag = $6, updated_at = $7 WHERE owner = $1 AND number = $2",
		i.Owner.ID, i.Number, i.Title, i.Note, fold(i.Title), i.Tag, i.UpdatedAt.Unix())
	return err
}

// replayed returns the item that a request with the same key has made, as it was then. found is false if there
// was no such request, or it was too long ago.
func replayed(
	ctx context.Context,
	tx database.Tx,
	owner Owner,
	d Draft,
	key Key,
	now time.Time,
) (item Item, found bool, err error) {
	var request, tag string
	var number, created int64
	err = tx.QueryRowContext(ctx,
		"SELECT request, number, tag, created_at FROM idempotency_keys WHERE owner = $1 AND digest = $2 AND expires_at > $3",
		owner.ID, key.digest, now.Unix()).Scan(&request, &number, &tag, &created)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Item{}, false, nil
	case err != nil:
		return Item{}, false, database.Unavailable("read idempotency key", err)
	case request != key.request:
		return Item{}, false, refusal{ErrKeyReused}
	}
	item = newItem(owner, number, d, timeOf(created))
	item.Tag = tag
	return item, true, nil
}

// checkKeys refuses another idempotency key of an owner who has used MaxKeys within KeyLifetime.
func checkKeys(ctx context.Context, tx database.Tx, owner Owner, now time.Time) error {
	var keys int64
	err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM idempotency_keys WHERE owner = $1 AND expires_at > $2",
		owner.ID, now.Unix()).Scan(&keys)
	if err != nil {
		return database.Unavailable("count idempotency keys", err)
	}
	if keys >= MaxKeys {
		return refusal{ErrTooManyKeys}
	}
	return nil
}

// remember stores the key of the request that has made an item, and deletes a few expired keys of anybody.
func remember(ctx context.Context, tx database.Tx, engine database.Engine, i Item, key Key, now time.Time) error {
	_, err := database.Changed(ctx, tx, "store idempotency key",
		"INSERT INTO idempotency_keys (owner, digest, request, number, tag, created_at, expires_at) "+
			"VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (owner, digest) DO UPDATE SET request = excluded.request, "+
			"number = excluded.number, tag = excluded.tag, created_at = excluded.created_at, expires_at = excluded.expires_at",
		i.Owner.ID, key.digest, key.request, i.Number, i.Tag, i.CreatedAt.Unix(), now.Add(KeyLifetime).Unix())
	if err != nil {
		return err
	}
	_, err = database.Changed(ctx, tx, "sweep idempotency keys",
		"DELETE FROM idempotency_keys WHERE (owner, digest) IN (SELECT owner, digest FROM idempotency_keys "+
			"WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 "+engine.SkipLocked()+")", now.Unix(), sweepSize)
	return err
}
