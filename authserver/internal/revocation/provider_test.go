package revocation_test

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/statuslist"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/revocation"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/store/storetest"
)

const (
	issuer   = "https://login.example"
	audience = "https://api.example"
	billing  = "https://billing.example"
	lifetime = 30 * time.Minute
)

// lists knows where lists are published. defaultList is the first one of the default API.
var (
	lists       = grant.Lists{Issuer: issuer, Default: audience}
	defaultList = lists.List(0, audience)
)

// place is a database with a user and a client, and a clock that tests move. It counts queries, and
// can be told to fail.
type place struct {
	t *testing.T
	*store.Store
	file   string
	user   account.User
	client client.Client
	ring   *keyring.Ring
	offset int64 // what is added to the number of every grant

	mu      sync.Mutex
	now     time.Time
	updates atomic.Int64
	broken  atomic.Bool
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{t: t, now: time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)}
	p.file = storetest.SQLite(t)
	p.open()
	t.Cleanup(func() { p.must(p.Close()) })
	var err error
	p.user, err = account.New("john.doe", "John Doe", "hash", p.now)
	p.must(err)
	p.must(p.CreateUser(t.Context(), p.user))
	p.client = client.Client{ID: "app", Name: "app", Grants: []oauth.GrantType{oauth.GrantPassword},
		Scope: oauth.Scope{"profile"}, CreatedAt: p.now}
	p.must(p.CreateClient(t.Context(), p.client))
	set, err := keyring.Generate(keyring.HS256, p.now.AddDate(0, 0, -1), rand.Reader)
	p.must(err)
	p.ring, err = keyring.Parse(set)
	p.must(err)
	return p
}

// open opens the database.
func (p *place) open() {
	p.t.Helper()
	var err error
	p.Store, err = store.Open(p.t.Context(), "sqlite:"+p.file, databasetest.Pool)
	p.must(err)
	_, err = p.SetDefaultAPI(p.t.Context(), audience, p.now)
	p.must(err)
}

func (p *place) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) clock() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *place) wait(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(d)
}

var errBroken = errors.New("broken")

// RevokedAfter is the store's, with an offset added to the numbers.
func (p *place) RevokedAfter(ctx context.Context, at time.Time, number int64, limit int) ([]int64, time.Time, error) {
	if p.broken.Load() {
		return nil, time.Time{}, errBroken
	}
	numbers, last, err := p.Store.RevokedAfter(ctx, at, number-p.offset, limit)
	for i := range numbers {
		numbers[i] += p.offset
	}
	return numbers, last, err
}

// LastGrant is the store's, with the offset added. It counts the updates.
func (p *place) LastGrant(ctx context.Context) (int64, error) {
	p.updates.Add(1)
	last, err := p.Store.LastGrant(ctx)
	return last + p.offset, err
}

// provider returns a provider for the database.
func (p *place) provider(change ...func(*revocation.Config)) *revocation.Provider {
	cfg := revocation.Config{
		Lifetime: lifetime, Lists: lists, Grants: p, APIs: p,
		Signer: &token.Signer{Keys: p.ring, Audience: audience, Now: p.clock}, Now: p.clock,
	}
	for _, f := range change {
		f(&cfg)
	}
	return revocation.NewProvider(cfg)
}

// grant starts a grant and returns its number.
func (p *place) grant() int64 {
	p.t.Helper()
	return p.grantFor(audience)
}

// grantFor starts a grant for an API.
func (p *place) grantFor(audience string) int64 {
	p.t.Helper()
	number, err := p.StartGrant(p.t.Context(), grant.Grant{
		Type: oauth.GrantPassword, ClientID: p.client.ID, UserID: p.user.ID, Audience: audience, CreatedAt: p.clock(),
		ExpiresAt: p.clock().AddDate(1, 0, 0),
	})
	p.must(err)
	return number
}

func (p *place) revoke(number int64, at time.Time) {
	p.t.Helper()
	_, err := p.RevokeGrant(p.t.Context(), number, at)
	p.must(err)
}

// signed returns a list, which must exist.
func (p *place) signed(provider *revocation.Provider, l grant.List) revocation.SignedList {
	p.t.Helper()
	form, err := provider.List(p.t.Context(), l)
	p.must(err)
	return form
}

// read verifies a list as an API does.
func (p *place) read(form revocation.SignedList, l grant.List, keys keyring.Source) statuslist.Token {
	p.t.Helper()
	said, err := statuslist.Verify(form.Token, statuslist.Expected{URI: l.URI, Keys: keys, Audience: l.Audience,
		Now: p.clock()})
	p.must(err)
	return said
}

// expect checks which grants are revoked, by the first list of the default API.
func (p *place) expect(provider *revocation.Provider, want ...int64) {
	p.t.Helper()
	list := p.read(p.signed(provider, defaultList), defaultList, p.ring).List
	var got []int64
	for i := range int64(list.Size()) {
		if revoked, _ := list.Revoked(i); revoked {
			got = append(got, i)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		p.t.Errorf("revoked (-want +got):\n%s", diff)
	}
}

// A list has what was revoked, and each update adds to it.
func TestList(t *testing.T) {
	p := newPlace(t)
	provider := p.provider()
	first, second, third := p.grant(), p.grant(), p.grant()
	p.revoke(second, p.clock())
	p.expect(provider, second)
	said := p.read(p.signed(provider, defaultList), defaultList, p.ring)
	if said.TTL != time.Second || !said.IssuedAt.Equal(p.clock()) || said.List.Size() != grant.ListSize {
		t.Errorf("ttl %v, issued at %v, %d bits", said.TTL, said.IssuedAt, said.List.Size())
	}
	p.revoke(first, p.clock())
	p.wait(200 * time.Millisecond)
	p.expect(provider, first, second)
	p.wait(time.Hour)
	p.revoke(third, p.clock())
	p.expect(provider, first, second, third)
}

// However many requests there are, the database is queried at most five times a second.
func TestUpdatesAreShared(t *testing.T) {
	p := newPlace(t)
	provider := p.provider()
	p.grant()
	p.signed(provider, defaultList)
	before := p.updates.Load()
	p.wait(time.Second)
	var asking sync.WaitGroup
	for range 50 {
		asking.Go(func() {
			if _, err := provider.List(t.Context(), defaultList); err != nil {
				t.Error(err)
			}
		})
	}
	asking.Wait()
	for range 10 {
		p.wait(20 * time.Millisecond)
		p.signed(provider, defaultList)
	}
	if got := p.updates.Load() - before; got != 2 {
		t.Errorf("%d updates within 200 milliseconds, want 2", got)
	}
}

// A list that has not changed has the same tag on every server. A consumer that fetches it when the
// tag differs always has a list that is valid for as long as a token lives.
func TestETag(t *testing.T) {
	p := newPlace(t)
	provider, other := p.provider(), p.provider()
	number := p.grant()
	has := p.signed(provider, defaultList)
	tags := map[string]bool{has.ETag: true}
	for range 120 {
		p.wait(53 * time.Second)
		form := p.signed(provider, defaultList)
		if again := p.signed(other, defaultList); again.ETag != form.ETag {
			t.Fatalf("two servers have the tags %s and %s", form.ETag, again.ETag)
		}
		if form.ETag != has.ETag {
			has, tags[form.ETag] = form, true
		}
		if left := p.read(has, defaultList, p.ring).ExpiresAt.Sub(p.clock()); left < lifetime {
			t.Fatalf("a list that is said to be unchanged expires in %v", left)
		}
	}
	if len(tags) < 14 || len(tags) > 16 { // 120 times 53 seconds, in quarters of half an hour
		t.Errorf("%d tags though nothing has changed", len(tags))
	}
	p.revoke(number, p.clock())
	p.wait(time.Second)
	if form := p.signed(provider, defaultList); tags[form.ETag] {
		t.Error("a revocation does not change the tag")
	}
}

// A server with a slow clock revokes in the past of the others. That is found by the next update if
// clocks differ by little, and in any case when all revocations are read again.
func TestListWithClocksThatDiffer(t *testing.T) { synctest.Test(t, testListWithClocksThatDiffer) }

func testListWithClocksThatDiffer(t *testing.T) {
	p := newPlace(t)
	provider := p.provider()
	slow, slower := p.grant(), p.grant()
	p.expect(provider)
	p.wait(10 * time.Second)
	p.expect(provider)
	p.revoke(slow, p.clock().Add(-30*time.Second))
	p.revoke(slower, p.clock().Add(-time.Hour))
	p.wait(time.Second)
	p.expect(provider, slow)
	p.wait(3 * time.Minute)
	p.signed(provider, defaultList) // starts reading all again
	synctest.Wait()
	p.expect(provider, slow, slower)
	p.wait(-time.Hour) // our own clock is put back
	number := p.grant()
	p.revoke(number, p.clock())
	p.expect(provider, slow, slower, number)
}

// A bit is set for as long as an access token may live.
func TestListForgetsExpiredGrants(t *testing.T) { synctest.Test(t, testListForgetsExpiredGrants) }

func testListForgetsExpiredGrants(t *testing.T) {
	p := newPlace(t)
	provider := p.provider()
	number := p.grant()
	p.revoke(number, p.clock())
	p.wait(grant.MaxTokenLifetime)
	p.expect(provider, number)
	p.wait(3 * time.Minute)
	p.signed(provider, defaultList) // starts reading all again
	synctest.Wait()
	p.expect(provider)
}

// A list exists as soon as one of its grants has been made.
func TestUnknownLists(t *testing.T) {
	p := newPlace(t)
	provider := p.provider()
	missing := func(l grant.List) {
		t.Helper()
		if form, err := provider.List(t.Context(), l); !errors.Is(err, revocation.ErrNotFound) {
			t.Errorf("%+v: %q %v, want ErrNotFound", l, form.Token, err)
		}
	}
	missing(defaultList)
	p.wait(50 * time.Millisecond)
	number := p.grant()
	p.revoke(number, p.clock())
	p.expect(provider, number)
	missing(lists.List(1, audience))
	missing(lists.List(1<<43, audience))
	missing(lists.List(0, billing))
	missing(lists.List(0, "https://unknown.example"))

	p.offset = grant.ListSize - number // so that the next is the first of the next list
	p.grant()
	p.wait(50 * time.Millisecond)
	next := lists.List(1, audience)
	said := p.read(p.signed(provider, next), next, p.ring)
	if revoked, ok := said.List.Revoked(0); !revoked || !ok {
		t.Error("the first grant of the second list is not revoked")
	}
	uris, err := provider.URIs(t.Context(), audience)
	p.must(err)
	if diff := cmp.Diff([]string{issuer + "/status-lists/0", issuer + "/status-lists/1"}, uris); diff != "" {
		t.Errorf("URIs (-want +got):\n%s", diff)
	}
	missing(lists.List(2, audience))
}

// Requests for unknown lists query the database too, but not each of them.
func TestUnknownListsAreCheap(t *testing.T) {
	p := newPlace(t)
	provider := p.provider()
	p.grant()
	for range 100 {
		_, _ = provider.List(t.Context(), lists.List(1, audience))
		p.wait(time.Millisecond)
	}
	if got := p.updates.Load(); got > 6 {
		t.Errorf("%d updates in 100 milliseconds", got)
	}
}

// The list for an API is signed with the key of its tokens. Another API's secret neither verifies
// nor signs it.
func TestListForAnAPI(t *testing.T) {
	p := newPlace(t)
	set, err := keyring.Generate(keyring.HS256, p.now.AddDate(0, 0, -1), rand.Reader)
	p.must(err)
	set, single, err := keyring.Add(set, keyring.HS256, billing, p.now, rand.Reader)
	p.must(err)
	p.ring, err = keyring.Parse(set)
	p.must(err)
	own, err := keyring.Parse(single)
	p.must(err)
	shared, err := keyring.ForAPI(set, "")
	p.must(err)
	first, err := keyring.Parse(shared)
	p.must(err)
	provider := p.provider()
	number := p.grant()
	p.revoke(number, p.clock())
	l := lists.List(0, billing)
	if _, err := provider.List(t.Context(), l); !errors.Is(err, revocation.ErrNotFound) {
		t.Errorf("an API that is not registered: %v", err)
	}
	for _, name := range []string{billing, "https://keyless.example"} {
		p.must(p.CreateAPI(t.Context(), resource.API{Audience: name, Name: name, Scope: oauth.Scope{"x"}, CreatedAt: p.now}))
	}
	p.wait(50 * time.Millisecond)
	if revoked, _ := p.read(p.signed(provider, l), l, own).List.Revoked(number); !revoked {
		t.Error("the API does not learn of the revocation")
	}
	if _, err := provider.List(t.Context(), lists.List(0, "https://keyless.example")); !errors.Is(err,
		revocation.ErrNotFound) {
		t.Errorf("an API without a key: %v", err)
	}
	if _, err := statuslist.Verify(p.signed(provider, l).Token, statuslist.Expected{URI: l.URI, Keys: first,
		Audience: audience, Now: p.clock()}); err == nil {
		t.Error("the first API can verify what is for the other")
	}
	p.expect(provider, number)
	uris, err := provider.URIs(t.Context(), billing)
	p.must(err)
	if !slices.Equal(uris, []string{l.URI}) {
		t.Errorf("URIs: %v", uris)
	}
	if _, err := provider.URIs(t.Context(), "https://nobody.example"); !errors.Is(err, revocation.ErrNotFound) {
		t.Errorf("URIs of an API that is not registered: %v", err)
	}
}

// The list of a deleted API says that all is revoked, for as long as a token for it may live. If the
// API is registered again, only what was granted before is revoked.
func TestListForADeletedAPI(t *testing.T) {
	p := newPlace(t)
	set, err := keyring.Generate(keyring.EdDSA, p.now.AddDate(0, 0, -1), rand.Reader)
	p.must(err)
	p.ring, err = keyring.Parse(set)
	p.must(err)
	provider := p.provider()
	number, l := p.grantFor(billing), lists.List(0, billing)
	other := p.grant()
	api := resource.API{Audience: billing, Name: billing, Scope: oauth.Scope{"x"}, CreatedAt: p.now}
	says := func(want ...bool) {
		t.Helper()
		p.wait(200 * time.Millisecond)
		list := p.read(p.signed(provider, l), l, p.ring).List
		for i, n := range []int64{number, other, grant.ListSize - 1} {
			if revoked, _ := list.Revoked(n); revoked != want[i] {
				t.Errorf("grant %d: revoked %v, want %v", n, revoked, want[i])
			}
		}
	}
	p.must(p.CreateAPI(t.Context(), api))
	says(false, false, false)
	p.must(p.DeleteAPI(t.Context(), billing, p.clock()))
	says(true, true, true)
	uris, err := provider.URIs(t.Context(), billing)
	p.must(err)
	if !slices.Equal(uris, []string{l.URI}) {
		t.Errorf("URIs: %v", uris)
	}
	p.expect(provider, number)

	p.must(p.CreateAPI(t.Context(), api))
	says(true, false, false)
	p.must(p.DeleteAPI(t.Context(), billing, p.clock()))
	p.wait(grant.MaxTokenLifetime)
	says(true, true, true)
	p.wait(2 * time.Minute)
	if _, err := provider.List(t.Context(), l); !errors.Is(err, revocation.ErrNotFound) {
		t.Errorf("an API that was deleted long ago: %v", err)
	}
}

// After a rotation the list is signed with the new key at once.
func TestListAfterARotation(t *testing.T) {
	p := newPlace(t)
	next, err := keyring.FromSecret("0123456789abcdef0123456789abcdef")
	p.must(err)
	var keys atomic.Pointer[keyring.Ring]
	keys.Store(p.ring)
	provider := p.provider(func(cfg *revocation.Config) { cfg.Signer.Keys = source{&keys} })
	p.grant()
	before := p.signed(provider, defaultList)
	keys.Store(next)
	after := p.signed(provider, defaultList)
	p.read(after, defaultList, next)
	if before.ETag == after.ETag {
		t.Error("another key, and the same tag")
	}
}

type source struct{ ring *atomic.Pointer[keyring.Ring] }

func (s source) Current() *keyring.Ring { return s.ring.Load() }

// While the database is down, lists are published as they were, with their times, also those
// that were not asked for before. They end when an API would refuse them.
func TestListWithoutADatabase(t *testing.T) {
	p := newPlace(t)
	provider := p.provider()
	p.grant()
	p.offset = grant.ListSize
	number := p.grant() + p.offset
	p.revoke(number-p.offset, p.clock())
	before := p.signed(provider, defaultList)
	updated := p.clock()
	p.broken.Store(true)
	l := lists.List(1, audience)
	for _, after := range []time.Duration{time.Second, lifetime / 2, lifetime * 5 / 4} {
		p.now = updated.Add(after - time.Nanosecond)
		if got := p.signed(provider, defaultList); got != before {
			t.Errorf("after %v another list is published", after)
		}
		said := p.read(p.signed(provider, l), l, p.ring)
		revoked, _ := said.List.Revoked(number % grant.ListSize)
		if !revoked || !said.IssuedAt.Equal(updated) || !said.ExpiresAt.Equal(updated.Add(lifetime*3/2)) {
			t.Errorf("after %v: revoked %v, issued at %v, expires at %v", after, revoked, said.IssuedAt, said.ExpiresAt)
		}
		uris, err := provider.URIs(t.Context(), audience)
		p.must(err)
		if len(uris) != 2 {
			t.Errorf("URIs: %v", uris)
		}
		if _, err := provider.List(t.Context(), lists.List(2, audience)); !errors.Is(err, revocation.ErrNotFound) {
			t.Errorf("a list that does not exist: %v", err)
		}
	}
	p.now = updated.Add(lifetime * 5 / 4)
	if _, err := provider.List(t.Context(), defaultList); !errors.Is(err, errBroken) {
		t.Errorf("a list that may have expired: %v", err)
	}
	if _, err := provider.URIs(t.Context(), audience); !errors.Is(err, errBroken) {
		t.Errorf("the URIs of lists that may have expired: %v", err)
	}
	p.broken.Store(false)
	p.wait(time.Second)
	p.offset = 0
	another := p.grant()
	p.revoke(another, p.clock())
	p.expect(provider, number-grant.ListSize, another) // without the offset
}

// A server that has never read all that it needs publishes nothing.
func TestFirstListWithoutADatabase(t *testing.T) {
	p := newPlace(t)
	p.grant()
	for _, grants := range []revocation.Grants{&halfBroken{place: p}, p} {
		p.broken.Store(grants == revocation.Grants(p))
		provider := p.provider(func(cfg *revocation.Config) { cfg.Grants = grants })
		if got, err := provider.List(t.Context(), defaultList); !errors.Is(err, errBroken) {
			t.Errorf("%q %v", got.Token, err)
		}
		if got, err := provider.URIs(t.Context(), audience); !errors.Is(err, errBroken) {
			t.Errorf("%q %v", got, err)
		}
	}
}

// halfBroken knows the revoked grants but not the last one.
type halfBroken struct{ *place }

func (halfBroken) LastGrant(context.Context) (int64, error) { return 0, errBroken }
