package store

import (
	"context"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
)

// sealedKeysMemory is how long a sealed key is kept. Each use of its key in a server's file stores it again.
const sealedKeysMemory = 2 * 365 * 24 * time.Hour

// SealedKeys returns the sealed keys of second factors. If there are none, or replace says so and no secret is
// encrypted with them, it stores the fresh ones first, in place of all others. Of calls at once, one stores.
func (s *Store) SealedKeys(
	ctx context.Context,
	fresh []secondfactor.SealedKey,
	replace bool,
	now time.Time,
) ([]secondfactor.SealedKey, error) {
	if len(fresh) > 0 {
		if err := s.storeFirstKeys(ctx, fresh, replace, now); err != nil {
			return nil, err
		}
	}
	return list(ctx, s.write, "read sealed keys", func(r row) (k secondfactor.SealedKey, err error) {
		return k, unavailable("read sealed keys", r.Scan(&k.KeyID, &k.Sealed))
	}, "SELECT kid, sealed FROM sealing_keys ORDER BY created_at DESC, kid")
}

// storeFirstKeys stores the keys as SealedKeys says.
func (s *Store) storeFirstKeys(
	ctx context.Context,
	fresh []secondfactor.SealedKey,
	replace bool,
	now time.Time,
) error {
	return s.inTx(ctx, "store sealed keys", func(ctx context.Context, tx transaction) error {
		if err := s.lock(ctx, tx, "sealed keys", now); err != nil {
			return err
		}
		var stored, used bool
		err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM sealing_keys), "+
			"EXISTS (SELECT 1 FROM second_factors WHERE kind = $1) OR EXISTS (SELECT 1 FROM webhooks)",
			string(secondfactor.KindTOTP)).Scan(&stored, &used)
		if err != nil {
			return unavailable("read sealed keys", err)
		}
		if stored && (!replace || used) {
			return nil
		}
		if _, err := changed(ctx, tx, "replace sealed keys", "DELETE FROM sealing_keys"); err != nil {
			return err
		}
		return addSealedKeys(ctx, tx, fresh, now)
	})
}

// AddSealedKeys stores more sealed keys of the key that known has, and deletes those with the kids that are gone and
// those that no server has had for two years. It replaces none, and does nothing unless known is still stored. It
// reports whether it is.
func (s *Store) AddSealedKeys(
	ctx context.Context,
	known secondfactor.SealedKey,
	more []secondfactor.SealedKey,
	gone []string,
	now time.Time,
) (stored bool, err error) {
	err = s.inTx(ctx, "add sealed keys", func(ctx context.Context, tx transaction) error {
		if err := s.lock(ctx, tx, "sealed keys", now); err != nil {
			return err
		}
		err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM sealing_keys WHERE kid = $1 AND sealed = $2)",
			known.KeyID, known.Sealed).Scan(&stored)
		if err != nil || !stored {
			return unavailable("add sealed keys", err)
		}
		if err := addSealedKeys(ctx, tx, more, now); err != nil {
			return err
		}
		for _, kid := range gone {
			if _, err := changed(ctx, tx, "delete sealed key", "DELETE FROM sealing_keys WHERE kid = $1", kid); err != nil {
				return err
			}
		}
		_, err = changed(ctx, tx, "forget sealed keys", "DELETE FROM sealing_keys WHERE created_at < $1",
			seconds(now.Add(-sealedKeysMemory)))
		return err
	})
	return stored, err
}

// addSealedKeys adds keys. One whose kid is stored already is not replaced, but kept for longer.
func addSealedKeys(ctx context.Context, tx transaction, keys []secondfactor.SealedKey, now time.Time) error {
	for _, k := range keys {
		_, err := changed(ctx, tx, "add sealed key", "INSERT INTO sealing_keys (kid, sealed, created_at) "+
			"VALUES ($1, $2, $3) ON CONFLICT (kid) DO UPDATE SET created_at = excluded.created_at",
			k.KeyID, k.Sealed, seconds(now))
		if err != nil {
			return err
		}
	}
	return nil
}
