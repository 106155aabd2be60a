package admin_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/store/storetest"
)

// start is the time at which the tests take place.
var start = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// newService returns a service on an empty SQLite database.
func newService(t *testing.T) *admin.Service {
	t.Helper()
	s, err := store.Open(t.Context(), "sqlite:"+storetest.SQLite(t), databasetest.Pool)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &admin.Service{Store: s, Now: func() time.Time { return start }}
}

// web is a client that gets a secret.
var web = admin.NewClient{Client: client.Client{
	ID:           "web",
	Grants:       []oauth.GrantType{oauth.GrantAuthorizationCode},
	Scope:        oauth.Scope{"profile"},
	RedirectURIs: []string{"https://web.example/cb"},
}}

func TestRegisterClient(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c, secret, err := s.RegisterClient(t.Context(), web)
	if err != nil || c.Name != "web" || !c.CreatedAt.Equal(start) || !c.VerifySecret(secret, start) {
		t.Fatalf("got %+v (%v)", c, err)
	}
	if _, _, err := s.RegisterClient(t.Context(), web); !errors.Is(err, record.ErrExists) {
		t.Errorf("registered twice: %v", err)
	}
	public := web
	public.ID, public.Public = "spa", true
	if c, secret, err := s.RegisterClient(t.Context(), public); err != nil || secret != "" || !c.Public() {
		t.Errorf("public: %+v, secret %t (%v)", c, secret != "", err)
	}
	introspects := web
	introspects.ID, introspects.Introspects = "api", true
	if c, _, err := s.RegisterClient(t.Context(), introspects); err != nil ||
		!cmp.Equal(c.IntrospectsFor, []string{client.DefaultAPI}) {
		t.Errorf("introspects for %v (%v)", c.IntrospectsFor, err)
	}
	introspects.ID, introspects.IntrospectsFor = "api2", []string{"https://nowhere.example"}
	if _, _, err := s.RegisterClient(t.Context(), introspects); !errors.Is(err, record.ErrNotFound) {
		t.Errorf("an API that is not there: %v", err)
	}
}

// A client whose last API was deleted has no API until a change asks for one, also if an earlier version has left it
// with introspection but no API.
func TestClientWithoutItsAPI(t *testing.T) {
	t.Parallel()
	s, ctx := newService(t), t.Context()
	api := resource.API{Audience: "https://api.example", Scope: oauth.Scope{"a"}}
	if _, err := s.RegisterAPI(ctx, api); err != nil {
		t.Fatal(err)
	}
	gateway := web
	gateway.ID, gateway.IntrospectsFor = "gateway", []string{api.Audience}
	c, _, err := s.RegisterClient(ctx, gateway)
	if err != nil {
		t.Fatal(err)
	}
	c.ID, c.IntrospectsFor = "earlier", nil // it introspects
	if err := s.Store.CreateClient(ctx, c); err != nil {
		t.Fatal(err)
	}
	if _, err := s.DeleteAPI(ctx, api.Audience, nil); err != nil {
		t.Fatal(err)
	}
	name, yes := "Other", true
	for id, introspects := range map[string]bool{"gateway": false, "earlier": true} {
		was, is, err := s.ChangeClient(ctx, id, admin.ClientPatch{Name: &name}, nil)
		if err != nil || len(was.IntrospectsFor)+len(is.IntrospectsFor) > 0 ||
			was.Introspects != introspects || is.Introspects != introspects {
			t.Errorf("%s introspects %t for %v, then %t for %v (%v)",
				id, was.Introspects, was.IntrospectsFor, is.Introspects, is.IntrospectsFor, err)
		}
		_, is, err = s.ChangeClient(ctx, id, admin.ClientPatch{Introspects: &yes}, nil)
		if err != nil || !is.Introspects || !cmp.Equal(is.IntrospectsFor, []string{client.DefaultAPI}) {
			t.Errorf("%s is asked to, and introspects %t for %v (%v)", id, is.Introspects, is.IntrospectsFor, err)
		}
	}
}

// An outage while the APIs of a client are looked up is not a mistake in the input.
func TestClientDuringOutage(t *testing.T) {
	t.Parallel()
	s := newService(t)
	if _, _, err := s.RegisterClient(t.Context(), web); err != nil {
		t.Fatal(err)
	}
	if err := s.Store.Close(); err != nil {
		t.Fatal(err)
	}
	introspects := web
	introspects.ID, introspects.IntrospectsFor = "api", []string{"https://api.example"}
	_, _, errRegister := s.RegisterClient(t.Context(), introspects)
	_, _, errChange := s.ChangeClient(t.Context(), "web", admin.ClientPatch{ExchangeTo: introspects.IntrospectsFor}, nil)
	for what, err := range map[string]error{"register": errRegister, "change": errChange} {
		if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, client.ErrBad) {
			t.Errorf("%s: got %v, want only ErrUnavailable", what, err)
		}
	}
}

// A change or deletion with a precondition that does not hold changes nothing.
func TestPreconditions(t *testing.T) {
	t.Parallel()
	s, ctx := newService(t), t.Context()
	before, _, err := s.RegisterClient(ctx, web)
	if err != nil {
		t.Fatal(err)
	}
	api := resource.API{Audience: "https://api.example", Scope: oauth.Scope{"a"}}
	if _, err := s.RegisterAPI(ctx, api); err != nil {
		t.Fatal(err)
	}
	never := func(client.Client) bool { return false }
	name := "Other"
	_, _, errChange := s.ChangeClient(ctx, "web", admin.ClientPatch{Name: &name}, never)
	_, errDelete := s.DeleteClient(ctx, "web", never)
	_, errRotate := s.RotateClientSecret(ctx, "web", admin.RotateSecret{Revoke: true}, never)
	_, errAPI := s.ChangeAPI(ctx, api.Audience, admin.APIPatch{Name: &name}, func(resource.API) bool { return false })
	_, errDeleteAPI := s.DeleteAPI(ctx, api.Audience, func(resource.API) bool { return false })
	for what, err := range map[string]error{
		"change": errChange, "delete": errDelete, "rotate": errRotate, "change API": errAPI, "delete API": errDeleteAPI,
	} {
		if !errors.Is(err, admin.ErrChanged) {
			t.Errorf("%s: got error %v, want ErrChanged", what, err)
		}
	}
	after, err := s.Client(ctx, "web")
	if err != nil || !cmp.Equal(before, after) {
		t.Errorf("changed all the same (%v): %s", err, cmp.Diff(before, after))
	}
	sameAs := func(c client.Client) bool { return cmp.Equal(c, before) }
	if _, _, err := s.ChangeClient(ctx, "web", admin.ClientPatch{Name: &name}, sameAs); err != nil {
		t.Error(err)
	}
	if _, err := s.DeleteClient(ctx, "web", sameAs); !errors.Is(err, admin.ErrChanged) {
		t.Errorf("deleted what has changed: %v", err)
	}
	if _, err := s.DeleteClient(ctx, "web", nil); err != nil {
		t.Error(err)
	}
}

// Rotating a secret keeps the old one as long as asked, and not at all if it has leaked.
func TestRotateClientSecret(t *testing.T) {
	t.Parallel()
	s, ctx := newService(t), t.Context()
	_, first, err := s.RegisterClient(ctx, web)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.RotateClientSecret(ctx, "web", admin.RotateSecret{KeepOld: time.Hour}, nil)
	if err != nil || !r.OldUntil.Equal(start.Add(time.Hour)) {
		t.Fatalf("old until %v (%v)", r.OldUntil, err)
	}
	c, err := s.Client(ctx, "web")
	if err != nil || !c.VerifySecret(first, start) || !c.VerifySecret(r.Secret, start) {
		t.Errorf("the old or the new secret does not work (%v)", err)
	}
	for _, how := range []admin.RotateSecret{
		{KeepOld: time.Second}, {KeepOld: 1000 * time.Hour}, {KeepOld: time.Hour, Revoke: true}, {KeepOld: -time.Hour},
	} {
		if _, err := s.RotateClientSecret(ctx, "web", how, nil); !errors.Is(err, admin.ErrBadKeepOld) {
			t.Errorf("%+v: got error %v", how, err)
		}
	}
	if _, err := s.RotateClientSecret(ctx, "web", admin.RotateSecret{Revoke: true}, nil); err != nil {
		t.Fatal(err)
	}
	if c, err = s.Client(ctx, "web"); err != nil || c.VerifySecret(first, start) || c.VerifySecret(r.Secret, start) {
		t.Errorf("a secret that has leaked works (%v)", err)
	}
}

// A user without a password is added together with the mail, or not at all: the administrator can try again.
func TestUserAndMailTogether(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.Mails = true
	s.Hash = func(context.Context, account.User, string) (string, error) { return "hash", nil }
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	times := 0
	s.Now = func() time.Time {
		if times++; times == 2 { // the user is added, the mail is not
			cancel()
		}
		return start
	}
	ada := admin.NewUser{Username: "ada", Email: "ada@example.com", EmailVerified: true}
	if _, err := s.CreateUser(ctx, ada); err == nil {
		t.Fatal("no error")
	}
	if _, err := s.CreateUser(t.Context(), ada); err != nil {
		t.Errorf("the second try: %v", err)
	}
}

// A user who is changed between the reading and the change is not deleted, disabled or enabled.
func TestPreconditionOfUserInTheChange(t *testing.T) {
	t.Parallel()
	s, ctx := newService(t), t.Context()
	user, err := account.New("ada", "Ada", "hash", start)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Store.CreateUser(ctx, user); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(context.Context, string, func(account.User) bool) error{
		"delete": s.DeleteUser, "disable": s.DisableUser, "enable": s.EnableUser,
	} {
		seen, name := "", what
		match := func(u account.User) bool {
			if seen == "" {
				seen = u.Name
				if _, err := s.ChangeUser(ctx, "ada", admin.UserPatch{Name: &name}, nil); err != nil {
					t.Error(err)
				}
			}
			return u.Name == seen
		}
		if err := change(ctx, "ada", match); !errors.Is(err, admin.ErrChanged) {
			t.Errorf("%s: got error %v, want ErrChanged", what, err)
		}
	}
}

// An administrator sets and clears what is required of a client that is described by a document, and nothing else.
func TestChangeDocumentClient(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for _, scope := range []oauth.Scope{{"profile", "items:read"}, nil} {
		c := client.Client{
			ID: "https://app.example/" + scope.String(), Name: "Agent", Source: client.SourceDocument, CreatedAt: start,
			LastUsedAt: start, Grants: []oauth.GrantType{oauth.GrantAuthorizationCode}, Scope: scope,
			RedirectURIs: []string{"http://localhost/cb"},
		}
		if err := s.Store.AddUnregistered(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		for _, value := range []bool{true, false} {
			same := "Agent" // the form of the console sends all settings
			p := admin.ClientPatch{Name: &same, Scope: c.Scope, ExchangeTo: []string{}, IntrospectsFor: []string{},
				RequirePAR: &value, RequireDPoP: &value, RequireSecondFactor: &value}
			want := c
			want.RequirePAR, want.RequireDPoP, want.RequireSecondFactor, want.Kept = value, value, value, true
			if _, is, err := s.ChangeClient(t.Context(), c.ID, p, nil); err != nil || cmp.Diff(want, is) != "" {
				t.Errorf("%v (%v):\n%s", value, err, cmp.Diff(want, is))
			}
		}
		name, yes := "Other", true
		for what, p := range map[string]admin.ClientPatch{
			"name": {Name: &name}, "scope": {AddScope: oauth.Scope{"admin"}}, "own app": {FirstParty: &yes},
			"redirect URIs": {RedirectURIs: []string{"https://app.example/cb"}}, "rights": {Admin: &yes},
		} {
			_, _, err := s.ChangeClient(t.Context(), c.ID, p, nil)
			if !errors.Is(err, client.ErrBad) || !strings.Contains(err.Error(), "the document at "+c.ID) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
}
