package issuing

import (
	"context"
	"errors"
	"slices"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// records reads what token requests need and administrators seldom change. What it returns is at most
// CacheTime old, and clients and APIs are older by up to store.ReplicaAge with a replica of the database.
//
// A token that is issued by a record that is out of date does not outlive a revocation. It belongs to
// a grant, and its number is in the status lists:
//
//   - New grants: the statement that stores a grant compares the digest of the client's secret, and locks
//     the client's row. So client rotate-secret --revoke and client delete either find the grant and
//     revoke it, or it is not stored.
//   - Grants of services: the number was active with this secret when it was read. If the secret was
//     replaced or the client deleted since, the grant was revoked with it. That is why the key has the
//     digest of the secret: the next grant is that of the new secret.
//   - Refresh tokens: whether their grant is revoked is read for every refresh, not kept here: before a
//     recent token gets its successor, and in the statement that replaces a current one. If the revocation
//     comes right after that, the token has the number of a revoked grant. Grants that are not revoked
//     were started later, with the new secret. client rotate-secret prints it when no server uses the
//     previous one.
//   - Deleted APIs: their status lists mark all tokens as revoked. Grants that are stored late are
//     revoked before the audience can be registered again.
type records struct {
	clients  *cache[string, client.Client]
	apis     *cache[string, resource.API]
	services *cache[service, int64]
	lists    *cache[struct{}, grant.Lists]
}

// service is what the grant of a service is found by: the client's id, the digest of its secret, and the
// epoch. Numbers of a previous epoch may be used again.
type service struct{ clientID, secretDigest, epoch string }

// newRecords returns the records of a configuration's store. The lists have an issuer and a default API.
func newRecords(cfg Config, lists grant.Lists) records {
	s, now := cfg.Store, cfg.Now
	return records{
		clients: newCache(now, s.RecentClient),
		apis:    newCache(now, cfg.knownAPI),
		services: newCache(now, func(ctx context.Context, of service) (int64, error) {
			return s.ServiceGrant(ctx, of.clientID, of.secretDigest, now())
		}),
		lists: newCache(now, func(ctx context.Context, _ struct{}) (grant.Lists, error) {
			return listsOfEpoch(ctx, s, lists)
		}),
	}
}

// currentLists returns the status lists of the current epoch.
func (r records) currentLists(ctx context.Context) (grant.Lists, error) {
	return r.lists.get(ctx, struct{}{})
}

// serviceGrant returns the number of the grant of a client itself. It returns grant.ErrClientChanged if
// the client is deleted or has another secret by now.
func (r records) serviceGrant(ctx context.Context, c client.Client) (number int64, err error) {
	lists, err := r.currentLists(ctx)
	if err != nil {
		return 0, err
	}
	return r.services.get(ctx, service{c.ID, c.SecretDigest, lists.Epoch})
}

// dropServiceGrant forgets the number of the grant of a client, which was revoked.
func (r records) dropServiceGrant(ctx context.Context, c client.Client) error {
	lists, err := r.currentLists(ctx)
	if err == nil {
		r.services.drop(service{c.ID, c.SecretDigest, lists.Epoch})
	}
	return err
}

// exactAPI returns the API with this audience, or record.ErrNotFound.
func (r records) exactAPI(ctx context.Context, audience string) (resource.API, error) {
	api, err := r.apis.get(ctx, audience)
	if err == nil && api.Audience != audience { // found by another spelling
		return resource.API{}, record.ErrNotFound
	}
	return api, err
}

// findAPI returns the API with this audience, or the only one whose audience is the same URI, or
// record.ErrNotFound.
func findAPI(ctx context.Context, s *store.Store, named string) (resource.API, error) {
	exact, err := s.RecentAPI(ctx, named)
	if !errors.Is(err, record.ErrNotFound) {
		return exact, err
	}
	registered, listErr := s.APIs(ctx)
	if listErr != nil {
		return resource.API{}, listErr
	}
	same := slices.DeleteFunc(registered, func(a resource.API) bool { return !resource.Same(a.Audience, named) })
	if len(same) != 1 {
		return resource.API{}, err
	}
	return same[0], nil
}

// listsOfEpoch returns the status lists of the current epoch.
func listsOfEpoch(ctx context.Context, s *store.Store, lists grant.Lists) (grant.Lists, error) {
	epochs, err := s.Epochs(ctx)
	if n := len(epochs); n > 0 {
		lists.Epoch = epochs[n-1]
	}
	return lists, err
}
