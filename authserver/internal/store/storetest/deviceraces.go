package storetest

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// Of approvals and denials at once, one decides.
func testRaceToDecide(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	addSession(t, s, "session", u)
	approved := 0
	for round := range 8 {
		d := addDevice(t, s, strconv.Itoa(round), c)
		oneWinner(t, atOnce(t.Context(), racers, func(ctx context.Context, i int) error {
			if i%2 == 0 {
				return s.DenyDevice(ctx, d.UserCode, u.ID, c.ID, start)
			}
			return s.ApproveDevice(ctx, d.UserCode, "session", approvalOf(d, u, start))
		}), grant.ErrCodeUnknown)
		got, err := s.DeviceByDigest(t.Context(), d.Digest)
		must(t, err)
		same(t, "the user code", "", got.UserCode)
		if !got.Denied() {
			approved++
		}
	}
	same(t, "active grants", approved, activeGrants(t, s))
}

// Of many polls at once, one redeems the code.
func testRaceForDevice(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	d := addDevice(t, s, "tv", c)
	approve(t, s, d, u)
	oneWinner(t, atOnce(t.Context(), racers, func(ctx context.Context, _ int) error {
		_, err := s.RedeemDevice(ctx, d.Digest, tokensOf(d, start))
		return err
	}), grant.ErrCodeUsed)
	same(t, "active grants", 1, activeGrants(t, s))
}

// Of many polls at once, one is in time, and each of the others makes the interval longer.
func testRaceOfPolls(t *testing.T, s *store.Store) {
	d := addDevice(t, s, "tv", addClient(t, s, "app"))
	won := make([]bool, racers)
	for _, err := range atOnce(t.Context(), racers, func(ctx context.Context, i int) (err error) {
		won[i], err = s.PollDevice(ctx, d.Digest, start)
		return err
	}) {
		must(t, err)
	}
	inTime := 0
	for _, w := range won {
		if w {
			inTime++
		}
	}
	same(t, "polls in time", 1, inTime)
	interval := racers * grant.DeviceInterval
	for _, at := range []struct {
		wait time.Duration
		want bool
	}{{interval - 2*time.Second, false}, {2*interval + 3*time.Second, true}} {
		got, err := s.PollDevice(t.Context(), d.Digest, start.Add(at.wait))
		must(t, err)
		same(t, "in time after "+at.wait.String(), at.want, got)
	}
}

// Whatever the order of approvals, redemptions and what revokes grants, nothing deadlocks, and no grant
// stays active.
func testEndDuringDevices(t *testing.T, s *store.Store) {
	ctx, cancel := context.WithTimeout(t.Context(), raceTimeout)
	defer cancel()
	const each = 4
	for name, end := range map[string]func(context.Context, account.User, client.Client) error{
		"password": func(ctx context.Context, u account.User, _ client.Client) error {
			return s.SetPassword(ctx, u.Username, "new", start)
		},
		"disable": func(ctx context.Context, u account.User, _ client.Client) error {
			return s.DisableUser(ctx, u.Username, start)
		},
		"delete": func(ctx context.Context, u account.User, _ client.Client) error {
			return s.DeleteUser(ctx, u.Username, start)
		},
		"log out": func(ctx context.Context, u account.User, _ client.Client) error {
			return s.LogOut(ctx, u.Username, "", start)
		},
		"delete client": func(ctx context.Context, _ account.User, c client.Client) error {
			return s.DeleteClient(ctx, c.ID, start)
		},
	} {
		u, c := addUser(t, s, "user "+name), addClient(t, s, "client."+strings.ReplaceAll(name, " ", "."))
		addSession(t, s, name, u)
		var devices [racers][each]grant.DeviceCode
		for i := range racers {
			for j := range each {
				devices[i][j] = addDevice(t, s, name+" "+strconv.Itoa(i)+"/"+strconv.Itoa(j), c)
			}
		}
		begun := make(chan struct{}, racers*each)
		for _, err := range atOnce(ctx, racers, func(ctx context.Context, i int) error {
			if i == 0 {
				<-begun
				return end(ctx, u, c)
			}
			for _, d := range devices[i] {
				if err := approveAndRedeem(ctx, s, d, u, name); err != nil {
					return err
				}
				begun <- struct{}{}
			}
			return nil
		}) {
			must(t, err)
		}
	}
	same(t, "active grants", 0, activeGrants(t, s))
}

// approveAndRedeem approves a device code in a session and redeems it. It returns unexpected errors only.
func approveAndRedeem(ctx context.Context, s *store.Store, d grant.DeviceCode, u account.User, session string) error {
	err := s.ApproveDevice(ctx, d.UserCode, session, approvalOf(d, u, start))
	if err == nil {
		_, err = s.RedeemDevice(ctx, d.Digest, tokensOf(d, start))
	}
	if errors.Is(err, grant.ErrInactive) || errors.Is(err, grant.ErrClientChanged) ||
		errors.Is(err, grant.ErrCodeUnknown) {
		return nil
	}
	return err
}
