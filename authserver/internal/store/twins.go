package store

import (
	"context"
	"slices"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

// skeletonRead is how many users fillSkeletons reads at once, skeletonBatch how many it changes in
// one transaction. No index finds the users without a skeleton, so reads are few.
const (
	skeletonRead  = 100_000
	skeletonBatch = 200
)

// skeletonTries limits the tries of fillSkeletons, which fails if another process does the same
// at the same time.
const skeletonTries = 5

// fillSkeletons stores the skeletons of users that previous versions have made. A user that
// looks like another one becomes its twin and keeps working.
func (s *Store) fillSkeletons(ctx context.Context) error {
	for tries := 0; ; {
		users, err := list(ctx, s.write, "read usernames", scanUsername,
			"SELECT id, username FROM users WHERE skeleton IS NULL ORDER BY created_at, id LIMIT $1", skeletonRead)
		if err != nil || len(users) == 0 {
			return err
		}
		for batch := range slices.Chunk(users, skeletonBatch) {
			if err = s.fillBatch(ctx, batch); err != nil {
				break
			}
			tries = 0
		}
		if tries++; err != nil && (tries == skeletonTries || ctx.Err() != nil) {
			return err
		}
	}
}

// fillBatch stores the skeletons of users in one transaction.
func (s *Store) fillBatch(ctx context.Context, users []account.User) error {
	return s.inTx(ctx, "fill skeletons", func(ctx context.Context, tx transaction) error {
		for _, u := range users {
			_, err := changed(ctx, tx, "fill skeletons", "UPDATE users SET skeleton = $2, twin_of = "+
				"(SELECT first.id FROM users AS first WHERE first.skeleton = $2 AND first.twin_of IS NULL) "+
				"WHERE id = $1 AND skeleton IS NULL", u.ID, account.Skeleton(u.Username))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func scanUsername(r row) (account.User, error) {
	var u account.User
	err := r.Scan(&u.ID, &u.Username)
	return u, unavailable("read usernames", err)
}

// Twins is a pair of usernames that look the same.
type Twins struct{ First, Second string }

// Twins returns up to limit pairs of usernames that look the same. Versions that did not refuse
// the second one have made them.
func (s *Store) Twins(ctx context.Context, limit int) ([]Twins, error) {
	return list(ctx, s.read, "list twins", func(r row) (Twins, error) {
		var t Twins
		err := r.Scan(&t.First, &t.Second)
		return t, unavailable("list twins", err)
	}, "SELECT f.username, u.username FROM users AS u JOIN users AS f ON f.skeleton = u.skeleton "+
		"WHERE u.twin_of IS NOT NULL AND f.id <> u.id AND (f.twin_of IS NULL OR f.id < u.id) "+
		"ORDER BY f.username, u.username LIMIT $1", limit)
}
