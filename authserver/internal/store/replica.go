package store

import (
	"context"
	"log/slog"

	"github.com/hallpass-auth/hallpass/shared/database"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// ReplicaAge is the maximum age of what RecentClient, RecentAPI and RevokedAfter return with a replica: see
// [database.ReplicaAge].
const ReplicaAge = database.ReplicaAge

// CheckReplicaURL returns ErrURL unless UseReplica can use the URL. It opens nothing.
func CheckReplicaURL(url string) error { return database.CheckReplicaURL(url) }

// UseReplica makes the store read what may be ReplicaAge old from a replica of its database while FollowReplica runs.
// While the replica is down or lags, the primary is read. Call it before the store is shared. The error is ErrURL.
//
// Never read from the replica: the state of a refresh token or a code, which would be judged as used before or unknown;
// users, sessions and failed logins, where a disabled user could log in; and which lists there are, because a list
// must exist when the first token names it.
func (s *Store) UseReplica(url string, limits Pool) error {
	replica, err := database.OpenReplica(url, limits, s.db)
	if err != nil {
		return err
	}
	s.replica = replica
	return nil
}

// FollowReplica watches the replica of UseReplica, until ctx ends, and logs when it can no longer be used and when it
// can again.
func (s *Store) FollowReplica(ctx context.Context, log *slog.Logger) { s.replica.Follow(ctx, log) }

// ReplicaReads returns how many reads the replica has answered, and how many of the reads meant for it the primary has
// answered.
func (s *Store) ReplicaReads() (answered, left int64) {
	if s.replica == nil {
		return 0, 0
	}
	return s.replica.Reads()
}

// recent returns what read reads from the replica if that can be used, else from the primary.
func recent[T any](s *Store, read func(pool) (T, error)) (T, error) {
	value, ok := database.FromReplica(s.replica, func(c *database.Conns) (T, error) { return read(pool{c}) })
	if ok {
		return value, nil
	}
	return read(s.read)
}

// RecentClient is ClientByID, as the client was at most ReplicaAge ago.
func (s *Store) RecentClient(ctx context.Context, id string) (client.Client, error) {
	return recent(s, func(p pool) (client.Client, error) { return one(ctx, p, scanClient, clientByID, id) })
}

// RecentAPI is APIByAudience, as the API was at most ReplicaAge ago.
func (s *Store) RecentAPI(ctx context.Context, audience string) (resource.API, error) {
	return recent(s, func(p pool) (resource.API, error) { return one(ctx, p, scanAPI, apiByAudience, audience) })
}
