package storetest

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var deviceTests = []test{
	{"a device code is read back unchanged", testDeviceRoundTrip},
	{"a device code that cannot be created", testDeviceNotCreated},
	{"an approved device code is redeemed once", testDeviceApproved},
	{"a denied device code", testDeviceDenied},
	{"a device code expires", testDeviceExpires},
	{"a device code belongs to its client", testDeviceOfAnotherClient},
	{"polls that come too soon", testDevicePolls},
	{"a network has a limited number of device codes", testDevicesOfNetwork},
	{"old device codes are swept", testSweepDevices},
	{"what revokes grants ends approved device codes", testDevicesEnd},
	{"approving a device needs a session", testApproveWithoutSession},
	{"an approval and a denial at once", testRaceToDecide},
	{"concurrent redemptions of a device code", testRaceForDevice},
	{"concurrent polls with a device code", testRaceOfPolls},
	{"ending everything while devices are approved and redeemed", testEndDuringDevices},
	{"one try is given back", testGiveBackTry},
}

// newDevice returns a device code that is issued at start.
func newDevice(name string, c client.Client) grant.DeviceCode {
	return grant.DeviceCode{
		Digest:    "device code " + name,
		UserCode:  "user code " + name,
		ClientID:  c.ID,
		Scope:     oauth.Scope{"profile", "items:read"},
		Network:   "network of " + name,
		CreatedAt: start,
		ExpiresAt: start.Add(grant.DeviceLifetime),
	}
}

// addDevice adds a device code to the database.
func addDevice(t testing.TB, s *store.Store, name string, c client.Client) grant.DeviceCode {
	t.Helper()
	d := newDevice(name, c)
	must(t, s.CreateDevice(t.Context(), d))
	return d
}

// approvalOf returns the grant that the user's approval of a device code starts at a time.
func approvalOf(d grant.DeviceCode, u account.User, at time.Time) grant.Grant {
	return grant.Grant{
		Type:      oauth.GrantDeviceCode,
		ClientID:  d.ClientID,
		UserID:    u.ID,
		Audience:  d.Audience,
		Scope:     d.Scope,
		CreatedAt: at,
		ExpiresAt: d.ExpiresAt,

		SecretDigest:  digestOf(d.ClientID),
		KeyThumbprint: "key of the device",
	}
}

// tokensOf returns what a device gets for a device code at a time: the refresh token and the expiry.
func tokensOf(d grant.DeviceCode, at time.Time) grant.Grant {
	return grant.Grant{
		ClientID:  d.ClientID,
		CreatedAt: at,
		ExpiresAt: at.Add(lifetime),
		Refresh:   grant.Refresh{Family: "family", Current: "current", EndsAt: at.Add(lifetime), ExpiresAt: at.Add(lifetime)},

		SecretDigest: digestOf(d.ClientID),
	}
}

// approve approves a device code in a session of the user.
func approve(t testing.TB, s *store.Store, d grant.DeviceCode, u account.User) {
	t.Helper()
	session := "session for " + d.Digest
	addSession(t, s, session, u)
	must(t, s.ApproveDevice(t.Context(), d.UserCode, session, approvalOf(d, u, start)))
}

// expectDevice checks a device code in the database.
func expectDevice(t testing.TB, s *store.Store, want grant.DeviceCode) {
	t.Helper()
	got, err := s.DeviceByDigest(t.Context(), want.Digest)
	must(t, err)
	same(t, want.Digest, want, got)
}

func testDeviceRoundTrip(t *testing.T, s *store.Store) {
	ctx := t.Context()
	addAPI(t, s, "https://api.example")
	bare := newDevice("bare", addClient(t, s, "app"))
	full := bare
	full.Digest, full.UserCode, full.Audience = "full", "user code full", "https://api.example"
	bare.Scope = nil
	for _, want := range []grant.DeviceCode{full, bare} {
		must(t, s.CreateDevice(ctx, want))
		expectDevice(t, s, want)
		got, err := s.DeviceByUserCode(ctx, want.UserCode, start)
		must(t, err)
		same(t, "by its user code", want, got)
	}
	for _, digest := range []string{"", "Full", full.UserCode} {
		_, err := s.DeviceByDigest(ctx, digest)
		expect(t, "reading "+digest, err, grant.ErrCodeUnknown)
	}
	for _, digest := range []string{"", "User code full", full.Digest} {
		_, err := s.DeviceByUserCode(ctx, digest, start)
		expect(t, "reading "+digest, err, grant.ErrCodeUnknown)
	}
}

func testDeviceNotCreated(t *testing.T, s *store.Store) {
	ctx := t.Context()
	d := addDevice(t, s, "first", addClient(t, s, "app"))
	again := d
	again.Digest = "another"
	expect(t, "a user code in use", s.CreateDevice(ctx, again), record.ErrExists)
	again.UserCode, again.Audience = "another", "https://nowhere.example"
	expect(t, "an unknown API", s.CreateDevice(ctx, again), record.ErrNotFound)
	again.Audience, again.ClientID = "", "nobody"
	expect(t, "an unknown client", s.CreateDevice(ctx, again), grant.ErrClientChanged)
	_, err := s.DeviceByDigest(ctx, "another")
	expect(t, "reading what was not created", err, grant.ErrCodeUnknown)
}

// RFC 8628 section 3.5: an approved code gives tokens, once. A second use says which grant to revoke.
func testDeviceApproved(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	d := addDevice(t, s, "tv", c)
	_, err := s.RedeemDevice(ctx, d.Digest, tokensOf(d, start))
	expect(t, "redeeming before the approval", err, grant.ErrCodeUnknown)
	approve(t, s, d, u)
	_, err = s.DeviceByUserCode(ctx, d.UserCode, start)
	expect(t, "the user code after the approval", err, grant.ErrCodeUnknown)
	expect(t, "approving again", s.ApproveDevice(ctx, d.UserCode, "session for "+d.Digest, approvalOf(d, u, start)),
		grant.ErrCodeUnknown)
	expect(t, "denying afterwards", s.DenyDevice(ctx, d.UserCode, u.ID, c.ID, start), grant.ErrCodeUnknown)
	got, err := s.DeviceByDigest(ctx, d.Digest)
	must(t, err)
	g := approvalOf(d, u, start)
	g.Number, d.UserCode, d.Grant = got.Grant, "", got.Grant
	same(t, "device code", d, got)
	expectGrant(t, s, g)
	u.LastLoginAt = start
	expectUser(t, s, u)

	later := start.Add(time.Minute)
	number, err := s.RedeemDevice(ctx, d.Digest, tokensOf(d, later))
	must(t, err)
	same(t, "number", g.Number, number)
	g.ExpiresAt, g.Refresh = tokensOf(d, later).ExpiresAt, tokensOf(d, later).Refresh
	g.KeyThumbprint = tokensOf(d, later).KeyThumbprint
	expectGrant(t, s, g)
	d.Redeemed = true
	expectDevice(t, s, d)
	for _, wait := range []time.Duration{0, time.Hour} {
		number, err = s.RedeemDevice(ctx, d.Digest, tokensOf(d, later.Add(wait)))
		expect(t, "redeeming again", err, grant.ErrCodeUsed)
		same(t, "number", g.Number, number)
	}
	expectGrant(t, s, g)
}

func testDeviceDenied(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	d := addDevice(t, s, "tv", c)
	expect(t, "denying another", s.DenyDevice(ctx, "another", u.ID, c.ID, start), grant.ErrCodeUnknown)
	person := audit.WithActor(ctx, audit.Actor{Kind: audit.User, Address: "192.0.2.7"})
	must(t, s.DenyDevice(person, d.UserCode, u.ID, c.ID, start))
	found := recorded(t, s, audit.Filter{Event: "device_denied"})
	same(t, "records", 1, len(found))
	same(t, "subject of the record", u.ID, found[0].Subject.ID)
	same(t, "actor of the record", u.ID, found[0].Actor.ID)
	addSession(t, s, "session", u)
	expect(t, "approving afterwards", s.ApproveDevice(ctx, d.UserCode, "session", approvalOf(d, u, start)),
		grant.ErrCodeUnknown)
	_, err := s.RedeemDevice(ctx, d.Digest, tokensOf(d, start))
	expect(t, "redeeming", err, grant.ErrCodeUnknown)
	d.UserCode = ""
	expectDevice(t, s, d)
	same(t, "denied", true, d.Denied())
	same(t, "active grants", 0, activeGrants(t, s))
	expectUser(t, s, u) // no login was noted
}

func testDeviceExpires(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	d, approved := addDevice(t, s, "tv", c), addDevice(t, s, "approved", c)
	addSession(t, s, "session", u)
	approve(t, s, approved, u)
	end := start.Add(grant.DeviceLifetime)
	_, err := s.DeviceByUserCode(ctx, d.UserCode, end)
	expect(t, "the user code at the end", err, grant.ErrCodeUnknown)
	_, err = s.DeviceByUserCode(ctx, d.UserCode, start.Add(-time.Minute))
	expect(t, "a user code that a clock ahead made", err, grant.ErrCodeUnknown)
	expect(t, "approving", s.ApproveDevice(ctx, d.UserCode, "session", approvalOf(d, u, end)), grant.ErrCodeUnknown)
	expect(t, "denying", s.DenyDevice(ctx, d.UserCode, u.ID, c.ID, end), grant.ErrCodeUnknown)
	_, err = s.RedeemDevice(ctx, approved.Digest, tokensOf(approved, end))
	expect(t, "redeeming", err, grant.ErrCodeUnknown)
	_, err = s.RedeemDevice(ctx, approved.Digest, tokensOf(approved, start.Add(-time.Minute)))
	expect(t, "redeeming a code that a clock ahead made", err, grant.ErrCodeUnknown)
	_, err = s.RedeemDevice(ctx, approved.Digest, tokensOf(approved, end.Add(-time.Second)))
	expect(t, "redeeming in the last second", err, nil)
	expectDevice(t, s, d) // a late poll is told that it has expired
}

func testDeviceOfAnotherClient(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	d := addDevice(t, s, "tv", c)
	foreign := d
	foreign.ClientID = addClient(t, s, "other").ID
	addSession(t, s, "session", u)
	err := s.ApproveDevice(ctx, d.UserCode, "session", approvalOf(foreign, u, start))
	expect(t, "approving", err, grant.ErrCodeUnknown)
	expect(t, "denying", s.DenyDevice(ctx, d.UserCode, u.ID, foreign.ClientID, start), grant.ErrCodeUnknown)
	approve(t, s, d, u)
	_, err = s.RedeemDevice(ctx, d.Digest, tokensOf(foreign, start))
	expect(t, "redeeming", err, grant.ErrCodeUnknown)
	_, err = s.RedeemDevice(ctx, d.Digest, tokensOf(d, start))
	must(t, err)
	_, err = s.RedeemDevice(ctx, d.Digest, tokensOf(foreign, start))
	expect(t, "redeeming a used code", err, grant.ErrCodeUnknown)
}

// RFC 8628 section 3.5: each poll that comes too soon makes the interval five seconds longer.
func testDevicePolls(t *testing.T, s *store.Store) {
	d := addDevice(t, s, "tv", addClient(t, s, "app"))
	other := addDevice(t, s, "other", addClient(t, s, "other"))
	for _, poll := range []struct {
		at     int // seconds since start
		inTime bool
	}{
		{0, true}, {5, true}, {9, true}, // a second early, for times are stored in whole seconds
		{12, false},                          // now 10 seconds
		{22, true}, {30, false}, {30, false}, // 15, then 20 seconds
		{49, true}, {49 - 10, true}, {59, true}, // a server whose clock was ahead
		{78, true},
	} {
		inTime, err := s.PollDevice(t.Context(), d.Digest, start.Add(time.Duration(poll.at)*time.Second))
		must(t, err)
		same(t, "in time after "+strconv.Itoa(poll.at)+" s", poll.inTime, inTime)
	}
	inTime, err := s.PollDevice(t.Context(), other.Digest, start)
	must(t, err)
	same(t, "first poll of another device", true, inTime)
}

func testDevicesOfNetwork(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	device := func(i int) grant.DeviceCode {
		d := newDevice(strconv.Itoa(i), c)
		d.Network = "network"
		return d
	}
	for i := range grant.MaxDevicesOfNetwork {
		must(t, s.CreateDevice(ctx, device(i)))
	}
	next := device(grant.MaxDevicesOfNetwork)
	expect(t, "one more", s.CreateDevice(ctx, next), grant.ErrTooManyDevices)
	addDevice(t, s, "elsewhere", c)
	must(t, s.DenyDevice(ctx, device(0).UserCode, u.ID, c.ID, start))
	must(t, s.CreateDevice(ctx, next))
	approve(t, s, device(1), u)
	next = device(grant.MaxDevicesOfNetwork + 1)
	must(t, s.CreateDevice(ctx, next))
	next = device(grant.MaxDevicesOfNetwork + 2)
	expect(t, "one more", s.CreateDevice(ctx, next), grant.ErrTooManyDevices)
	next.CreatedAt = next.ExpiresAt // the others have expired
	next.ExpiresAt = next.CreatedAt.Add(grant.DeviceLifetime)
	must(t, s.CreateDevice(ctx, next))
}

func testSweepDevices(t *testing.T, s *store.Store) {
	ctx := t.Context()
	c := addClient(t, s, "app")
	for i := range 10 {
		addDevice(t, s, strconv.Itoa(i), c)
	}
	now := start.Add(2*grant.DeviceLifetime + time.Second)
	for i := range 5 {
		d := newDevice("new "+strconv.Itoa(i), c)
		d.CreatedAt, d.ExpiresAt = now, now.Add(grant.DeviceLifetime)
		must(t, s.CreateDevice(ctx, d))
	}
	for i := range 10 {
		_, err := s.DeviceByDigest(ctx, newDevice(strconv.Itoa(i), c).Digest)
		expect(t, "an old device code", err, grant.ErrCodeUnknown)
	}
	_, err := s.DeviceByDigest(ctx, newDevice("new 0", c).Digest)
	must(t, err)
}

// An approval starts the grant, so that whatever revokes it also ends what the device has not fetched yet.
// Logging out of the browser does not: the device has its own login.
func testDevicesEnd(t *testing.T, s *store.Store) {
	ctx := t.Context()
	const audience = "https://api.example"
	addAPI(t, s, audience)
	for name, end := range map[string]func(account.User, client.Client) error{
		"password": func(u account.User, _ client.Client) error { return s.SetPassword(ctx, u.Username, "new", start) },
		"disabled": func(u account.User, _ client.Client) error {
			return errors.Join(s.DisableUser(ctx, u.Username, start), s.EnableUser(ctx, u.Username, start))
		},
		"deleted": func(u account.User, _ client.Client) error { return s.DeleteUser(ctx, u.Username, start) },
		"logout":  func(u account.User, _ client.Client) error { return s.LogOut(ctx, u.Username, "", start) },
		"logout of client": func(u account.User, c client.Client) error {
			return s.LogOut(ctx, u.Username, c.ID, start)
		},
		"consent": func(u account.User, c client.Client) error { return s.RevokeConsent(ctx, u.ID, c.ID, start) },
		"secret": func(_ account.User, c client.Client) error {
			return s.ReplaceClientSecret(ctx, c.ID, "new", start)
		},
		"client": func(_ account.User, c client.Client) error { return s.DeleteClient(ctx, c.ID, start) },
		"API":    func(account.User, client.Client) error { return s.DeleteAPI(ctx, audience, start) },
		"epoch": func(account.User, client.Client) error {
			_, err := s.StartEpoch(ctx, "epoch", start)
			return err
		},
		"browser": nil,
	} {
		u, c := addUser(t, s, "user "+name), addClient(t, s, "client."+name)
		d := newDevice(name, c)
		d.Audience = audience
		if err := s.CreateDevice(ctx, d); errors.Is(err, record.ErrNotFound) { // the API was deleted
			addAPI(t, s, audience)
			must(t, s.CreateDevice(ctx, d))
		}
		approve(t, s, d, u)
		if end == nil {
			must(t, s.DeleteSession(ctx, "session for "+d.Digest, true, start))
			_, err := s.RedeemDevice(ctx, d.Digest, tokensOf(d, start))
			expect(t, "after a logout of the browser", err, nil)
			continue
		}
		must(t, end(u, c))
		_, err := s.RedeemDevice(ctx, d.Digest, tokensOf(d, start))
		if !errors.Is(err, grant.ErrInactive) && !errors.Is(err, grant.ErrClientChanged) &&
			!errors.Is(err, grant.ErrCodeUnknown) {
			t.Errorf("%s: redeeming gives %v, want an error", name, err)
		}
	}
}

func testApproveWithoutSession(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	addSession(t, s, "of jane", addUser(t, s, "jane.smith"))
	addSession(t, s, "ended", u)
	must(t, s.DeleteSession(ctx, "ended", false, start))
	d := addDevice(t, s, "tv", c)
	for _, session := range []string{"", "unknown", "of jane", "ended"} {
		expect(t, "approving in the session "+session,
			s.ApproveDevice(ctx, d.UserCode, session, approvalOf(d, u, start)), grant.ErrInactive)
	}
	addSession(t, s, "of john", u)
	must(t, s.DisableUser(ctx, u.Username, start))
	expect(t, "approving for a disabled user",
		s.ApproveDevice(ctx, d.UserCode, "of john", approvalOf(d, u, start)), grant.ErrInactive)
	expectDevice(t, s, d)
	same(t, "active grants", 0, activeGrants(t, s))
}

func testGiveBackTry(t *testing.T, s *store.Store) {
	john, elsewhere := key("john", "192.0.2.1"), key("john", "192.0.2.2")
	fail(t, s, john, start, 3)
	fail(t, s, elsewhere, start, 2)
	must(t, s.GiveBackTry(t.Context(), john))
	expectCounts(t, s, john, 2, 4)
	expectCounts(t, s, elsewhere, 2, 4)
	for range 4 {
		must(t, s.GiveBackTry(t.Context(), john))
	}
	expectCounts(t, s, john, 0, 0)
	must(t, s.GiveBackTry(t.Context(), key("jane", "192.0.2.1")))
	reserve(t, s, john, start, true)
	expectCounts(t, s, john, 1, 1)
}
