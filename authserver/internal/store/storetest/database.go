package storetest

import (
	"context"
	"strconv"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var storeTests = []test{
	{"a new database is empty", testFresh},
	{"migrating again changes nothing", testMigrateAgain},
	{"a closed database is unavailable", testClosed},
	{"a canceled context ends every call", testCanceled},
}

func testFresh(t *testing.T, s *store.Store) {
	ctx := t.Context()
	must(t, s.Ping(ctx))
	must(t, s.CheckWritable(ctx))
	users, err := s.Users(ctx, record.Page{})
	must(t, err)
	same(t, "users", []account.User{}, users)
	clients, err := s.Clients(ctx, record.Page{})
	must(t, err)
	same(t, "clients", []client.Client{}, clients)
	empty, err := s.Empty(ctx)
	must(t, err)
	same(t, "empty", true, empty)
	apis, err := s.APIs(ctx)
	must(t, err)
	same(t, "APIs", []resource.API{}, apis)
	same(t, "active grants", 0, activeGrants(t, s))
}

func testMigrateAgain(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	g := addGrant(t, s, u, c)
	first, err := s.Migrate(t.Context())
	must(t, err)
	second, err := s.Migrate(t.Context())
	must(t, err)
	seen, err := s.Schema(t.Context())
	must(t, err)
	if first < 1 || second != first || seen != first {
		t.Errorf("Migrate returned version %d, then %d, and Schema %d", first, second, seen)
	}
	expectGrant(t, s, g)
}

// calls are the methods of Store that use the database.
var calls = map[string]func(context.Context, *store.Store) error{
	"Ping":          func(ctx context.Context, s *store.Store) error { return s.Ping(ctx) },
	"CheckWritable": func(ctx context.Context, s *store.Store) error { return s.CheckWritable(ctx) },
	"Migrate":       func(ctx context.Context, s *store.Store) error { _, err := s.Migrate(ctx); return err },
	"Schema":        func(ctx context.Context, s *store.Store) error { _, err := s.Schema(ctx); return err },
	"CreateUser":    func(ctx context.Context, s *store.Store) error { return s.CreateUser(ctx, newUser("x")) },
	"UserByUsername": func(ctx context.Context, s *store.Store) error {
		_, err := s.UserByUsername(ctx, "x")
		return err
	},
	"UserByID": func(ctx context.Context, s *store.Store) error { _, err := s.UserByID(ctx, "x"); return err },
	"Users":    func(ctx context.Context, s *store.Store) error { _, err := s.Users(ctx, record.Page{}); return err },
	"SearchUsers": func(ctx context.Context, s *store.Store) error {
		_, _, err := s.SearchUsers(ctx, "x", "", 1)
		return err
	},
	"SetPassword":  func(ctx context.Context, s *store.Store) error { return s.SetPassword(ctx, "x", "hash", start) },
	"DisableUser":  func(ctx context.Context, s *store.Store) error { return s.DisableUser(ctx, "x", start) },
	"EnableUser":   func(ctx context.Context, s *store.Store) error { return s.EnableUser(ctx, "x", start) },
	"DeleteUser":   func(ctx context.Context, s *store.Store) error { return s.DeleteUser(ctx, "x", start) },
	"ReplaceHash":  func(ctx context.Context, s *store.Store) error { return s.ReplaceHash(ctx, "x", "old", "new") },
	"CreateClient": func(ctx context.Context, s *store.Store) error { return s.CreateClient(ctx, newClient("x")) },
	"ClientByID":   func(ctx context.Context, s *store.Store) error { _, err := s.ClientByID(ctx, "x"); return err },
	"Clients": func(ctx context.Context, s *store.Store) error {
		_, err := s.Clients(ctx, record.Page{})
		return err
	},
	"SetClientSecret": func(ctx context.Context, s *store.Store) error {
		return s.SetClientSecret(ctx, "x", "digest", start)
	},
	"DeleteClient": func(ctx context.Context, s *store.Store) error { return s.DeleteClient(ctx, "x", start) },
	"StartGrant": func(ctx context.Context, s *store.Store) error {
		_, err := s.StartGrant(ctx, grant.Grant{ClientID: "x", UserID: "x", CreatedAt: start, ExpiresAt: start})
		return err
	},
	"GrantByNumber": func(ctx context.Context, s *store.Store) error { _, err := s.GrantByNumber(ctx, 1); return err },
	"GrantWithUser": func(ctx context.Context, s *store.Store) error {
		_, _, err := s.GrantWithUser(ctx, 1)
		return err
	},
	"LoginFailures": func(ctx context.Context, s *store.Store) error {
		_, err := s.LoginFailures(ctx, account.FailureKey{Network: "x"}, start)
		return err
	},
	"KnowsAddress": func(ctx context.Context, s *store.Store) error {
		_, err := s.KnowsAddress(ctx, "x", account.NewFailureKey("x", "x"), start)
		return err
	},
	"ReserveTry": func(ctx context.Context, s *store.Store) error {
		_, err := s.ReserveTry(ctx, account.NewFailureKey("x", "x"), start)
		return err
	},
	"GiveBackTries": func(ctx context.Context, s *store.Store) error {
		return s.GiveBackTries(ctx, account.NewFailureKey("x", "x"))
	},
	"PasswordCosts": func(ctx context.Context, s *store.Store) error {
		_, err := s.PasswordCosts(ctx)
		return err
	},
	"Twins":       func(ctx context.Context, s *store.Store) error { _, err := s.Twins(ctx, 1); return err },
	"NameKey":     func(ctx context.Context, s *store.Store) error { _, err := s.NameKey(ctx, "x"); return err },
	"NonceSecret": func(ctx context.Context, s *store.Store) error { _, err := s.NonceSecret(ctx, "x"); return err },
	"BindGrant": func(ctx context.Context, s *store.Store) error {
		_, err := s.BindGrant(ctx, grant.Grant{Number: 1}, "x")
		return err
	},
	"DemoMade":    func(ctx context.Context, s *store.Store) error { _, err := s.DemoMade(ctx); return err },
	"SetDemoMade": func(ctx context.Context, s *store.Store) error { return s.SetDemoMade(ctx) },
	"TakeAdminEvents": func(ctx context.Context, s *store.Store) error {
		_, err := s.TakeAdminEvents(ctx, 1)
		return err
	},
	"Empty": func(ctx context.Context, s *store.Store) error { _, err := s.Empty(ctx); return err },
	"HasDemoUsers": func(ctx context.Context, s *store.Store) error {
		_, err := s.HasDemoUsers(ctx, []string{"x"})
		return err
	},
	"RecentClient": func(ctx context.Context, s *store.Store) error { _, err := s.RecentClient(ctx, "x"); return err },
	"RecentAPI":    func(ctx context.Context, s *store.Store) error { _, err := s.RecentAPI(ctx, "x"); return err },
	"EndDemo":      func(ctx context.Context, s *store.Store) error { return s.EndDemo(ctx, []string{"x"}, start) },
	"ServiceGrant": func(ctx context.Context, s *store.Store) error {
		_, err := s.ServiceGrant(ctx, "x", "digest", start)
		return err
	},
	"RotateRefresh": func(ctx context.Context, s *store.Store) error {
		_, err := s.RotateRefresh(ctx, grant.Grant{Number: 1}, grant.Refresh{}, start, start)
		return err
	},
	"RevokeGrant": func(ctx context.Context, s *store.Store) error {
		_, err := s.RevokeGrant(ctx, 1, start)
		return err
	},
	"RevokedAfter": func(ctx context.Context, s *store.Store) error {
		_, _, err := s.RevokedAfter(ctx, start, 0, 1)
		return err
	},
	"LogOut": func(ctx context.Context, s *store.Store) error { return s.LogOut(ctx, "x", "", start) },
	"LogOut of a client": func(ctx context.Context, s *store.Store) error {
		return s.LogOut(ctx, "x", "x", start)
	},
	"CountLogins": func(ctx context.Context, s *store.Store) error {
		_, err := s.CountLogins(ctx, store.LoginsOf{}, start)
		return err
	},
	"Epochs":     func(ctx context.Context, s *store.Store) error { _, err := s.Epochs(ctx); return err },
	"StartEpoch": func(ctx context.Context, s *store.Store) error { _, err := s.StartEpoch(ctx, "x", start); return err },
	"LastGrant":  func(ctx context.Context, s *store.Store) error { _, err := s.LastGrant(ctx); return err },
	"CreateCode": func(ctx context.Context, s *store.Store) error {
		return s.CreateCode(ctx, grant.Code{Digest: "x"})
	},
	"CodeByDigest": func(ctx context.Context, s *store.Store) error { _, err := s.CodeByDigest(ctx, "x"); return err },
	"RedeemCode": func(ctx context.Context, s *store.Store) error {
		_, err := s.RedeemCode(ctx, "x", grant.Grant{})
		return err
	},
	"ConfirmCode":  func(ctx context.Context, s *store.Store) error { return s.ConfirmCode(ctx, "x", "x") },
	"TakeBackCode": func(ctx context.Context, s *store.Store) error { return s.TakeBackCode(ctx, "x", "x", start) },
	"ConfirmDevice": func(ctx context.Context, s *store.Store) error {
		return s.ConfirmDevice(ctx, "x", "x")
	},
	"TakeBackDevice": func(ctx context.Context, s *store.Store) error {
		return s.TakeBackDevice(ctx, "x", "x")
	},
	"CreateDevice": func(ctx context.Context, s *store.Store) error {
		return s.CreateDevice(ctx, grant.DeviceCode{Digest: "x"})
	},
	"DeviceByDigest": func(ctx context.Context, s *store.Store) error {
		_, err := s.DeviceByDigest(ctx, "x")
		return err
	},
	"DeviceByUserCode": func(ctx context.Context, s *store.Store) error {
		_, err := s.DeviceByUserCode(ctx, "x", start)
		return err
	},
	"ApproveDevice": func(ctx context.Context, s *store.Store) error {
		return s.ApproveDevice(ctx, "x", "x", grant.Grant{})
	},
	"DenyDevice": func(ctx context.Context, s *store.Store) error { return s.DenyDevice(ctx, "x", "x", "x", start) },
	"PollDevice": func(ctx context.Context, s *store.Store) error {
		_, err := s.PollDevice(ctx, "x", start)
		return err
	},
	"RedeemDevice": func(ctx context.Context, s *store.Store) error {
		_, err := s.RedeemDevice(ctx, "x", grant.Grant{})
		return err
	},
	"CreatePushed": func(ctx context.Context, s *store.Store) error {
		return s.CreatePushed(ctx, grant.PushedRequest{Digest: "x"})
	},
	"OpenPushed": func(ctx context.Context, s *store.Store) error {
		_, err := s.OpenPushed(ctx, "x", "x", start)
		return err
	},
	"StartExchange": func(ctx context.Context, s *store.Store) error {
		_, err := s.StartExchange(ctx, grant.Grant{})
		return err
	},
	"GiveBackTry": func(ctx context.Context, s *store.Store) error {
		return s.GiveBackTry(ctx, account.FailureKey{})
	},
	"StartSession": func(ctx context.Context, s *store.Store) error {
		return s.StartSession(ctx, store.NewSession{
			Digest: "x", User: account.User{ID: "x"}, CreatedAt: start, ExpiresAt: start,
		})
	},
	"StartSession in place of another": func(ctx context.Context, s *store.Store) error {
		return s.StartSession(ctx, store.NewSession{
			Digest: "y", Old: "x", User: account.User{ID: "x"}, CreatedAt: start, ExpiresAt: start,
		})
	},
	"SessionUser": func(ctx context.Context, s *store.Store) error {
		_, _, err := s.SessionUser(ctx, "x", start)
		return err
	},
	"DeleteSession": func(ctx context.Context, s *store.Store) error { return s.DeleteSession(ctx, "x", true, start) },
	"ChangeName":    func(ctx context.Context, s *store.Store) error { return s.ChangeName(ctx, "x", "x", start) },
	"ChangePassword": func(ctx context.Context, s *store.Store) error {
		return s.ChangePassword(ctx, account.User{ID: "x"}, "x", kept("x"), start)
	},
	"EndOtherLogins": func(ctx context.Context, s *store.Store) error { return s.EndOtherLogins(ctx, "x", "x", start) },
	"EndLogin":       func(ctx context.Context, s *store.Store) error { return s.EndLogin(ctx, "x", 1, start) },
	"DeleteAccount": func(ctx context.Context, s *store.Store) error {
		return s.DeleteAccount(ctx, account.User{ID: "x"}, start)
	},
	"BrowserSessions": func(ctx context.Context, s *store.Store) error {
		_, err := s.BrowserSessions(ctx, "x", start, 1)
		return err
	},
	"AppLogins": func(ctx context.Context, s *store.Store) error {
		_, err := s.AppLogins(ctx, "x", start, 1)
		return err
	},
	"GrantsOf":     func(ctx context.Context, s *store.Store) error { _, err := s.GrantsOf(ctx, "x", 1); return err },
	"AccessOf":     func(ctx context.Context, s *store.Store) error { _, err := s.AccessOf(ctx, "x", start); return err },
	"RemainderOf":  func(ctx context.Context, s *store.Store) error { _, err := s.RemainderOf(ctx, "x"); return err },
	"Sweep":        func(ctx context.Context, s *store.Store) error { return s.Sweep(ctx, start) },
	"ForgetPlaces": func(ctx context.Context, s *store.Store) error { return s.ForgetPlaces(ctx, start) },
	"ConsentedScope": func(ctx context.Context, s *store.Store) error {
		_, err := s.ConsentedScope(ctx, "x", "x", "")
		return err
	},
	"ConsentRevocations": func(ctx context.Context, s *store.Store) error {
		_, err := s.ConsentRevocations(ctx, "x", "x")
		return err
	},
	"AddConsent": func(ctx context.Context, s *store.Store) error {
		return s.AddConsent(ctx, "x", "x", "", nil, start)
	},
	"Consents":      func(ctx context.Context, s *store.Store) error { _, err := s.Consents(ctx, "x"); return err },
	"RevokeConsent": func(ctx context.Context, s *store.Store) error { return s.RevokeConsent(ctx, "x", "x", start) },
	"DescribeScope": func(ctx context.Context, s *store.Store) error {
		return s.DescribeScope(ctx, resource.ScopeDescription{Scope: "x", Text: "x"}, start)
	},
	"ScopeDescriptions": func(ctx context.Context, s *store.Store) error {
		_, err := s.ScopeDescriptions(ctx)
		return err
	},
	"ForgetScope":   func(ctx context.Context, s *store.Store) error { return s.ForgetScope(ctx, "x", start) },
	"CreateAPI":     func(ctx context.Context, s *store.Store) error { return s.CreateAPI(ctx, newAPI("x")) },
	"APIByAudience": func(ctx context.Context, s *store.Store) error { _, err := s.APIByAudience(ctx, "x"); return err },
	"APIs":          func(ctx context.Context, s *store.Store) error { _, err := s.APIs(ctx); return err },
	"DeleteAPI":     func(ctx context.Context, s *store.Store) error { return s.DeleteAPI(ctx, "x", start) },
	"Audiences":     func(ctx context.Context, s *store.Store) error { _, err := s.Audiences(ctx, start); return err },
}

// An unavailable database must never look like a missing row: a login would fail instead of
// being retried.
func testClosed(t *testing.T, s *store.Store) {
	must(t, s.Close())
	for name, call := range calls {
		expect(t, name, call(t.Context(), s), store.ErrUnavailable)
	}
}

// FailEach calls every method again and again, until none of its statements fails. Fail is called before each try: it
// makes the statement with this number fail, and returns a function that reports whether that has failed. The method
// must return ErrUnavailable then. Migrate is left out: it tries some statements again by itself.
func FailEach(t *testing.T, s *store.Store, fail func(number int) (failed func() bool)) {
	t.Helper()
	for name, call := range calls {
		for number := 1; name != "Migrate"; number++ {
			failed := fail(number)
			err := call(t.Context(), s)
			if !failed() {
				break
			}
			expect(t, name+", statement "+strconv.Itoa(number), err, store.ErrUnavailable)
		}
	}
}

func testCanceled(t *testing.T, s *store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range calls {
		err := call(ctx, s)
		expect(t, name, err, store.ErrUnavailable)
		expect(t, name, err, context.Canceled)
	}
	testFresh(t, s)
}
