package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var togetherTests = []test{
	{"several changes in one transaction", testTogether},
	{"changes in one transaction that fails", testTogetherFails},
	{"concurrent transactions of the same name", testRaceOfTogether},
	{"deleting a client that must not have changed", testRaceToDeleteUnchanged},
}

// Steps read what they have written, also by methods that have a transaction of their own elsewhere.
func testTogether(t *testing.T, s *store.Store) {
	api := resource.API{Audience: "https://api.example", Name: "API", Scope: []string{"a"}, CreatedAt: start}
	must(t, s.Together(t.Context(), "test", start, func(ctx context.Context) error {
		if err := errors.Join(s.CreateClient(ctx, newClient("app")), s.CreateAPI(ctx, api)); err != nil {
			return err
		}
		if _, err := s.UpdateClient(ctx, "app", start, func(c client.Client) (client.Client, error) {
			c.Name = "Changed"
			return c, nil
		}); err != nil {
			return err
		}
		apis, err := s.APIs(ctx)
		if err == nil && len(apis) != 1 {
			err = fmt.Errorf("%d APIs, want 1", len(apis))
		}
		return errors.Join(err, s.DescribeScope(ctx, resource.ScopeDescription{Scope: "a", Text: "See"}, start),
			s.Together(ctx, "inner", start, func(ctx context.Context) error {
				_, err := s.LockAPI(ctx, api.Audience)
				return err
			}))
	}))
	c, err := s.ClientByID(t.Context(), "app")
	must(t, err)
	same(t, "name", "Changed", c.Name)
}

func testTogetherFails(t *testing.T, s *store.Store) {
	must(t, s.CreateClient(t.Context(), newClient("kept")))
	failure := errors.New("failure")
	err := s.Together(t.Context(), "", start, func(ctx context.Context) error {
		return errors.Join(s.CreateClient(ctx, newClient("app")), s.DeleteClient(ctx, "kept", start), failure)
	})
	expect(t, "steps that fail", err, failure)
	_, err = s.ClientByID(t.Context(), "app")
	expect(t, "a client of steps that fail", err, record.ErrNotFound)
	_, err = s.ClientByID(t.Context(), "kept")
	must(t, err)
}

// Each call counts the clients and adds one whose name is the count. Only if one runs at a time are all different.
func testRaceOfTogether(t *testing.T, s *store.Store) {
	for _, err := range atOnce(t.Context(), racers, func(ctx context.Context, _ int) error {
		return s.Together(ctx, "count", start, func(ctx context.Context) error {
			clients, err := s.Clients(ctx, record.Page{})
			if err != nil {
				return err
			}
			return s.CreateClient(ctx, newClient(fmt.Sprintf("app%d", len(clients))))
		})
	}) {
		must(t, err)
	}
	clients, err := s.Clients(t.Context(), record.Page{})
	must(t, err)
	same(t, "clients", racers, len(clients))
}

// Half of the racers rename the client, the others delete it if nobody has: the client ends deleted without a new
// name, or stays with one.
func testRaceToDeleteUnchanged(t *testing.T, s *store.Store) {
	must(t, s.CreateClient(t.Context(), newClient("app")))
	errChanged := errors.New("changed")
	errs := atOnce(t.Context(), racers, func(ctx context.Context, i int) error {
		if i%2 == 0 {
			_, err := s.UpdateClient(ctx, "app", start, func(c client.Client) (client.Client, error) {
				c.Name = "Changed"
				return c, nil
			})
			return err
		}
		return s.Together(ctx, "", start, func(ctx context.Context) error {
			c, err := s.LockClient(ctx, "app")
			if err == nil && c.Name == "Changed" {
				err = errChanged
			}
			if err != nil {
				return err
			}
			return s.DeleteClient(ctx, "app", start)
		})
	})
	renamed, deleted := 0, 0
	for i, err := range errs {
		switch {
		case err == nil && i%2 == 0:
			renamed++
		case err == nil:
			deleted++
		case !errors.Is(err, errChanged) && !errors.Is(err, record.ErrNotFound):
			t.Error(err)
		}
	}
	if !(deleted == 1 && renamed == 0) && !(deleted == 0 && renamed == racers/2) {
		t.Errorf("%d deleted and %d renamed the client", deleted, renamed)
	}
}
