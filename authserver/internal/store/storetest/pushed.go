package storetest

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var pushedTests = []test{
	{"a pushed request is opened, and used once", testPushedOnce},
	{"a pushed request belongs to its client", testPushedOfAnotherClient},
	{"a pushed request expires", testPushedExpires},
	{"a network has a limited number of pushed requests", testPushedOfNetwork},
	{"a client takes its pushed requests with it", testPushedOfDeletedClient},
	{"concurrent codes for a pushed request", testRaceForPushed},
	{"deleting the client while pushed requests are used", testDeleteDuringPushed},
}

// newPushed returns a request that is pushed at start.
func newPushed(name string, c client.Client) grant.PushedRequest {
	return grant.PushedRequest{
		Digest:    "request " + name,
		ClientID:  c.ID,
		Query:     "client_id=" + c.ID + "&state=" + name,
		CreatedAt: start,
		ExpiresAt: start.Add(grant.PushedLifetime),
	}
}

// addPushed adds a pushed request to the database.
func addPushed(t testing.TB, s *store.Store, name string, c client.Client) grant.PushedRequest {
	t.Helper()
	p := newPushed(name, c)
	must(t, s.CreatePushed(t.Context(), p))
	return p
}

// openPushed opens a pushed request at a time, and checks it.
func openPushed(t testing.TB, s *store.Store, want grant.PushedRequest, at time.Time) {
	t.Helper()
	got, err := s.OpenPushed(t.Context(), want.Digest, want.ClientID, at)
	must(t, err)
	same(t, want.Digest, want, got)
}

func testPushedOnce(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	p := addPushed(t, s, "first", c)
	later := start.Add(time.Minute)
	opened := p
	opened.ExpiresAt = later.Add(grant.OpenedLifetime)
	openPushed(t, s, opened, later)
	openPushed(t, s, opened, later.Add(time.Minute)) // the page is loaded again
	code := newCode("code", u, c)
	code.Pushed, code.Audience, code.CreatedAt = p.Digest, "https://nowhere.example", later
	if err := s.CreateCode(ctx, code); err == nil {
		t.Error("a code for an API that does not exist")
	}
	openPushed(t, s, opened, later) // it is used only with the code
	code.Audience = ""
	must(t, s.CreateCode(ctx, code))
	code.Digest = "another code"
	expect(t, "a second code", s.CreateCode(ctx, code), grant.ErrPushedUnknown)
	_, err := s.CodeByDigest(ctx, code.Digest)
	expect(t, "reading it", err, grant.ErrCodeUnknown)
	_, err = s.OpenPushed(ctx, p.Digest, c.ID, later)
	expect(t, "opening a used request", err, grant.ErrPushedUnknown)
}

func testPushedOfAnotherClient(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, c, other := addUser(t, s, "john.doe"), addClient(t, s, "app"), addClient(t, s, "other")
	p := addPushed(t, s, "first", c)
	for _, of := range [][2]string{{p.Digest, other.ID}, {p.Digest, ""}, {"", c.ID}, {"Request first", c.ID}} {
		_, err := s.OpenPushed(ctx, of[0], of[1], start)
		expect(t, "opening "+of[0]+" as "+of[1], err, grant.ErrPushedUnknown)
	}
	code := newCode("code", u, other)
	code.Pushed = p.Digest
	expect(t, "a code for another client", s.CreateCode(ctx, code), grant.ErrPushedUnknown)
	unknown := newPushed("second", client.Client{ID: "nobody"})
	expect(t, "pushing for an unknown client", s.CreatePushed(ctx, unknown), grant.ErrClientChanged)
}

// An unopened request expires soon; an opened one gives the user time. Expired ones are swept.
func testPushedExpires(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	never, opened := addPushed(t, s, "never opened", c), addPushed(t, s, "opened", c)
	last := start.Add(grant.PushedLifetime - time.Second)
	opened.ExpiresAt = last.Add(grant.OpenedLifetime)
	openPushed(t, s, opened, last)
	_, err := s.OpenPushed(ctx, never.Digest, c.ID, start.Add(grant.PushedLifetime))
	expect(t, "opening it too late", err, grant.ErrPushedUnknown)
	openPushed(t, s, opened, start.Add(grant.PushedLifetime))
	code := newCode("code", u, c)
	code.Pushed, code.CreatedAt = opened.Digest, opened.ExpiresAt
	expect(t, "a code too late", s.CreateCode(ctx, code), grant.ErrPushedUnknown)
	next := newPushed("next", c)
	next.CreatedAt = start.Add(grant.PushedLifetime + time.Second)
	must(t, s.CreatePushed(ctx, next))
	_, err = s.OpenPushed(ctx, never.Digest, c.ID, start)
	expect(t, "opening one that was swept", err, grant.ErrPushedUnknown)
}

// Of requests of authenticated clients the network is not counted.
func testPushedOfNetwork(t *testing.T, s *store.Store) {
	ctx := t.Context()
	c := addClient(t, s, "app")
	push := func(name, network string, at time.Time) error {
		p := newPushed(name, c)
		p.Network, p.CreatedAt, p.ExpiresAt = network, at, at.Add(grant.PushedLifetime)
		return s.CreatePushed(ctx, p)
	}
	for i := range grant.MaxPushedOfNetwork {
		must(t, push("public "+strconv.Itoa(i), "network", start))
		must(t, push("confidential "+strconv.Itoa(i), "", start))
	}
	expect(t, "one more", push("more", "network", start), grant.ErrTooManyPushed)
	must(t, push("another network", "another", start))
	must(t, push("authenticated", "", start))
	must(t, push("later", "network", start.Add(grant.PushedLifetime)))
}

func testPushedOfDeletedClient(t *testing.T, s *store.Store) {
	c := addClient(t, s, "app")
	p := addPushed(t, s, "first", c)
	must(t, s.DeleteClient(t.Context(), c.ID, start))
	addClient(t, s, "app")
	_, err := s.OpenPushed(t.Context(), p.Digest, c.ID, start)
	expect(t, "opening it as a client of the same id", err, grant.ErrPushedUnknown)
}

// Of many codes at once for a pushed request, one is created.
func testRaceForPushed(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	p := addPushed(t, s, "first", c)
	oneWinner(t, atOnce(t.Context(), racers, func(ctx context.Context, i int) error {
		code := newCode("code "+strconv.Itoa(i), u, c)
		code.Pushed = p.Digest
		return s.CreateCode(ctx, code)
	}), grant.ErrPushedUnknown)
}

// Nothing deadlocks if the client is deleted meanwhile.
func testDeleteDuringPushed(t *testing.T, s *store.Store) {
	ctx, cancel := context.WithTimeout(t.Context(), raceTimeout)
	defer cancel()
	u := addUser(t, s, "john.doe")
	for round := range 4 {
		c := addClient(t, s, "app"+strconv.Itoa(round))
		for i := range racers {
			addPushed(t, s, c.ID+strconv.Itoa(i), c)
		}
		for _, err := range atOnce(ctx, racers, func(ctx context.Context, i int) error {
			if i == 0 {
				return s.DeleteClient(ctx, c.ID, start)
			}
			code := newCode("code "+c.ID+strconv.Itoa(i), u, c)
			code.Pushed = newPushed(c.ID+strconv.Itoa(i), c).Digest
			err := s.CreateCode(ctx, code)
			if err == grant.ErrClientChanged || err == grant.ErrPushedUnknown { //nolint:errorlint // never wrapped
				return nil
			}
			return err
		}) {
			must(t, err)
		}
	}
}
