package revocation_test

import (
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/revocation"
)

// backUp returns the content of the database.
func (p *place) backUp() []byte {
	p.t.Helper()
	p.must(p.Close())
	content, err := os.ReadFile(p.file)
	p.must(err)
	p.open()
	return content
}

// restore replaces the database by a copy.
func (p *place) restore(content []byte) {
	p.t.Helper()
	p.must(p.Close())
	p.must(os.WriteFile(p.file, content, 0o600))
	p.open()
}

// bits reports which of the grants are revoked in a list.
func (p *place) bits(provider *revocation.Provider, l grant.List, numbers ...int64) (revoked []bool) {
	p.t.Helper()
	list := p.read(p.signed(provider, l), l, p.ring).List
	for _, number := range numbers {
		bit, _ := list.Revoked(number % grant.ListSize)
		revoked = append(revoked, bit)
	}
	return revoked
}

// An older copy of the database is restored under a running server. No number gets the bit of another
// grant: what was revoked stays revoked, and what is new is not revoked.
func TestRestore(t *testing.T) {
	p := newPlace(t)
	running := p.provider()
	known, revokedLater := p.grant(), p.grant()
	backup := p.backUp()
	forgotten, alsoForgotten := p.grant(), p.grant()
	p.revoke(revokedLater, p.clock())
	p.revoke(forgotten, p.clock())
	p.expect(running, revokedLater, forgotten)

	p.restore(backup)
	lists := lists
	for range 2 { // one copy is often restored more than once
		lists.Epoch = grant.NewEpoch()
		_, err := p.StartEpoch(t.Context(), lists.Epoch, p.clock())
		p.must(err)
		p.wait(time.Second)
		next := p.grant()
		for name, provider := range map[string]*revocation.Provider{"running": running, "started": p.provider()} {
			current := lists.List(0, audience)
			got := p.bits(provider, current, known, revokedLater, next)
			if want := []bool{true, true, false}; !slices.Equal(got, want) {
				t.Errorf("%s: the new epoch's list has %v, want %v", name, got, want)
			}
			got = p.bits(provider, defaultList, known, revokedLater, forgotten, alsoForgotten, next, grant.ListSize-1)
			if slices.Contains(got, false) {
				t.Errorf("%s: the first epoch's list has %v, want all revoked", name, got)
			}
			uris, err := provider.URIs(t.Context(), audience)
			p.must(err)
			if diff := cmp.Diff([]string{current.URI}, uris); diff != "" {
				t.Errorf("%s: aggregation (-want +got):\n%s", name, diff)
			}
		}
	}
	if number := p.grant(); number != forgotten+2 {
		t.Fatalf("grant %d: the test needs numbers that are used twice", number)
	}
}

// Lists of a previous epoch are published also where the restored database has fewer grants. Others
// do not exist, whatever they are called.
func TestListsOfPreviousEpochs(t *testing.T) {
	p := newPlace(t)
	previous, current := lists, lists
	previous.Epoch, current.Epoch = grant.NewEpoch(), grant.NewEpoch()
	for _, name := range []string{previous.Epoch, current.Epoch} {
		_, err := p.StartEpoch(t.Context(), name, p.clock())
		p.must(err)
	}
	provider := p.provider()
	for _, l := range []grant.List{defaultList, lists.List(1, audience), previous.List(0, audience)} {
		if got := p.bits(provider, l, 0, 1, grant.ListSize-1); slices.Contains(got, false) {
			t.Errorf("%s: %v, want all revoked", l.URI, got)
		}
	}
	unknown := lists
	unknown.Epoch = grant.NewEpoch()
	for _, l := range []grant.List{
		current.List(0, audience), // no grant yet
		unknown.List(0, audience), lists.List(1000, audience), previous.List(1<<40, audience),
	} {
		p.wait(time.Second)
		if _, err := provider.List(t.Context(), l); !errors.Is(err, revocation.ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", l.URI, err)
		}
	}
	p.grant()
	p.wait(time.Second)
	if got := p.bits(provider, current.List(0, audience), 1); got[0] {
		t.Error("a new grant is revoked")
	}
}
