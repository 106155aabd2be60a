package issuing_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	liberrors "github.com/go-oauth2/oauth2/v4/errors"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

const (
	issuer   = "https://login.example"
	audience = "https://api.example"
	lifetime = 10 * time.Minute
	password = "securepassword"
)

// defaultAPI is the default API, as a server registers it.
var defaultAPI = resource.API{
	Audience: audience, Name: audience, AnyScope: true, CreatedAt: time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC),
}

// passwords is a function that implements issuing.Passwords.
type passwords func(ctx context.Context, a account.Attempt) (account.User, error)

func (p passwords) Check(ctx context.Context, a account.Attempt) (account.User, error) {
	return p(ctx, a)
}

func (p passwords) GiveBack(context.Context, account.User) error { return nil }

// bench is the configuration of a service on a database with one user and two clients.
type bench struct {
	t    *testing.T
	cfg  issuing.Config
	data *store.Store
	user account.User
	app  client.Client
	api  resource.API // that codes are for
	now  time.Time
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, api: defaultAPI, now: time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)}
	var err error
	b.data, err = store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "hallpass.db"), databasetest.Pool)
	must(t, err)
	t.Cleanup(func() { _ = b.data.Close() })
	_, err = b.data.Migrate(t.Context())
	must(t, err)
	_, err = b.data.SetDefaultAPI(t.Context(), audience, b.now)
	must(t, err)

	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	must(t, err)
	b.user, err = account.New("john.doe", "John Doe", string(hash), b.now)
	must(t, err)
	must(t, b.data.CreateUser(t.Context(), b.user))
	b.app = client.Client{ID: "app", Name: "App", Grants: []oauth.GrantType{oauth.GrantPassword},
		Scope: oauth.Scope{"profile", "items:read"}}
	for _, id := range []string{"app", "other"} {
		c := b.app
		c.ID, c.CreatedAt = id, b.now
		must(t, b.data.CreateClient(t.Context(), c))
	}

	hasher, err := account.NewHasher(bcrypt.MinCost)
	must(t, err)
	ring, err := keyring.FromSecret(strings.Repeat("k", keyring.MinSecret))
	must(t, err)
	clock := func() time.Time { return b.now }
	verifier, err := token.NewVerifier(token.VerifierConfig{Keys: ring, Issuer: issuer, Audience: audience, Now: clock,
		Leeway: -1})
	must(t, err)
	log := slog.New(slog.DiscardHandler)
	b.cfg = issuing.Config{
		Issuer: issuer, Audience: audience, Lifetime: lifetime,
		RefreshIdle: time.Hour, RefreshLifetime: 24 * time.Hour, RefreshGrace: 10 * time.Second,
		Passwords: &account.Login{Store: b.data, Hasher: hasher, Gate: account.NewGate(2, 100), Now: clock, Log: log},
		Store:     b.data, Signer: &token.Signer{Keys: ring, Audience: audience}, Verifier: verifier,
		Now: clock, Random: rand.Reader, Log: log,
	}
	return b
}

// wait moves the clock until nothing is in memory any longer that was read before.
func (b *bench) wait() { b.now = b.now.Add(issuing.CacheTime) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// request is the form of a login, with changes: name, value and so on.
func request(changes ...string) url.Values {
	form := url.Values{"grant_type": {"password"}, "username": {"john.doe"}, "password": {password}}
	for i := 0; i < len(changes); i += 2 {
		form.Set(changes[i], changes[i+1])
	}
	return form
}

// noTokens is the response beside an error.
var noTokens oauth.TokenResponse

// issue sends a request of a client.
func (b *bench) issue(s *issuing.Service, form url.Values, c client.Client) (oauth.TokenResponse, error) {
	return s.Issue(b.t.Context(), issuing.Request{Client: c, Form: form})
}

// claims returns the claims of the access token, which must be valid.
func (b *bench) claims(answer oauth.TokenResponse) *token.Claims {
	b.t.Helper()
	claims, err := b.cfg.Verifier.Verify(b.t.Context(), answer.AccessToken)
	must(b.t, err)
	return claims
}

func TestIssue(t *testing.T) {
	b := newBench(t)
	answer, err := b.issue(issuing.New(b.cfg), request(), b.app)
	must(t, err)
	claims := b.claims(answer)
	if claims.ID == "" {
		t.Error("the token has no id")
	}
	stored, err := b.data.GrantByNumber(t.Context(), 1)
	must(t, err)
	wantGrant := grant.Grant{
		Number: 1, Type: oauth.GrantPassword, ClientID: "app", UserID: b.user.ID, Audience: audience, Scope: b.app.Scope,
		CreatedAt: b.now, ExpiresAt: b.now.Add(lifetime),
		Authentication: grant.Authentication{At: b.now, Methods: []string{"pwd"}},
	}
	if diff := cmp.Diff(wantGrant, stored); diff != "" {
		t.Errorf("grant (-want +got):\n%s", diff)
	}
	want := &token.Claims{
		Issuer: issuer, Subject: b.user.ID, Audience: []string{audience}, ClientID: "app", ID: claims.ID,
		IssuedAt: b.now, ExpiresAt: b.now.Add(lifetime), Scope: b.app.Scope, Username: "john.doe", Name: "John Doe",
		Status:   &token.Status{Index: 1, URI: issuer + "/status-lists/0"},
		AuthTime: b.now, ACR: "1", Methods: []string{"pwd"},
	}
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	answer.AccessToken = ""
	wantAnswer := oauth.TokenResponse{TokenType: "bearer", ExpiresIn: 600, Scope: "profile items:read"}
	if diff := cmp.Diff(wantAnswer, answer); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}

// RFC 6749 section 3.3: a client gets no more than it may have, and all of that by default.
func TestIssueScope(t *testing.T) {
	b := newBench(t)
	e := issuing.New(b.cfg)
	for _, tt := range []struct{ asked, want, says string }{
		{asked: "", want: "profile items:read"},
		{asked: " ", want: "profile items:read"},
		{asked: "profile", want: "profile"},
		{asked: "items:read profile", want: "items:read profile"},
		{asked: "profile profile", want: "profile"},
		{asked: "admin", says: "admin"},
		{asked: "profile items:write", says: "items:write"},
		{asked: "Profile", says: "Profile"},
		{asked: "profile,items:read", says: "profile,items:read"},
		{asked: "a\tb", says: "3.3"},
		{asked: `a"b`, says: "3.3"},
		{asked: "é", says: "3.3"},
		{asked: strings.Repeat("x", 2000), says: "1024"},
	} {
		answer, err := b.issue(e, request("scope", tt.asked), b.app)
		if tt.says != "" {
			if !errors.Is(err, oauth.ErrInvalidScope) || !strings.Contains(err.Error(), tt.says) || answer != noTokens {
				t.Errorf("%q: %v, %v, want invalid_scope that says %q", tt.asked, answer, err, tt.says)
			}
			continue
		}
		if err != nil || answer.Scope != tt.want || b.claims(answer).Scope.String() != tt.want {
			t.Errorf("%q: %v, %v, want the scope %q", tt.asked, answer, err, tt.want)
		}
	}
}

// Tokens are issued to the authenticated client, whatever the form says.
func TestIssueToTheAuthenticatedClient(t *testing.T) {
	b := newBench(t)
	e := issuing.New(b.cfg)
	answer, err := b.issue(e, request("client_id", "other", "client_secret", "x"), b.app)
	must(t, err)
	if got := b.claims(answer).ClientID; got != "app" {
		t.Errorf("the token is for %s", got)
	}
	if g, err := b.data.GrantByNumber(t.Context(), 1); err != nil || g.ClientID != "app" {
		t.Errorf("the grant is %+v, %v", g, err)
	}
	if answer, err := b.issue(e, request("client_id", "app"), client.Client{}); !errors.Is(err, oauth.ErrInvalidClient) {
		t.Errorf("without a client: %v, %v", answer, err)
	}
	b.expectGrants(1)
}

// expectGrants checks how many of the first hundred grants are active.
func (b *bench) expectGrants(want int) {
	b.t.Helper()
	got := 0
	for number := range int64(100) {
		g, err := b.data.GrantByNumber(b.t.Context(), number+1)
		if errors.Is(err, record.ErrNotFound) {
			continue
		}
		must(b.t, err)
		if g.RevokedAt.IsZero() && !g.ExpiresAt.Before(b.now) {
			got++
		}
	}
	if got != want {
		b.t.Errorf("%d active grants, want %d", got, want)
	}
}

// unhashable is an error that cannot be the key of a map, in which the library looks errors up.
type unhashable struct{ causes []error }

func (e unhashable) Error() string   { return "unhashable" }
func (e unhashable) Unwrap() []error { return e.causes }

// Errors are recognized however deep they are wrapped. Those that the protocol has no code for are
// returned as they are.
func TestIssueErrors(t *testing.T) {
	incorrect := oauth.ErrInvalidGrant.Describe("Incorrect username or password")
	unknown := errors.New("something else")
	overloaded := fmt.Errorf("login: %w", &account.OverloadedError{Wait: time.Second})
	throttled := &account.ThrottledError{Wait: time.Second}
	outage := fmt.Errorf("%w: locked", store.ErrUnavailable)
	for _, tt := range []struct{ from, want error }{
		{account.ErrIncorrect, incorrect},
		{fmt.Errorf("login: %w", account.ErrIncorrect), incorrect},
		{errors.Join(nil, account.ErrIncorrect), incorrect},
		{unhashable{[]error{account.ErrIncorrect}}, incorrect},
		{fmt.Errorf("login: %w", grant.ErrInactive), incorrect},
		{liberrors.ErrInvalidRequest, oauth.ErrInvalidRequest},
		{liberrors.ErrInvalidClient, oauth.ErrInvalidClient},
		{liberrors.ErrInvalidGrant, oauth.ErrInvalidGrant},
		{liberrors.ErrUnauthorizedClient, oauth.ErrUnauthorizedClient},
		{liberrors.ErrUnsupportedGrantType, oauth.ErrUnsupportedGrantType},
		{fmt.Errorf("deep: %w", fmt.Errorf("down: %w", liberrors.ErrInvalidScope)), oauth.ErrInvalidScope},
		{oauth.ErrInvalidRequest.Describe("kept"), oauth.ErrInvalidRequest.Describe("kept")},
		{unknown, unknown}, {overloaded, overloaded}, {throttled, throttled}, {outage, outage},
		{context.Canceled, context.Canceled},
	} {
		b := newBench(t)
		b.cfg.Passwords = passwords(func(context.Context, account.Attempt) (account.User, error) {
			return account.User{},
				tt.from
		})
		answer, err := b.issue(issuing.New(b.cfg), request(), b.app)
		if !errors.Is(err, tt.want) || answer != noTokens {
			t.Errorf("%v became %v with %v, want %v", tt.from, err, answer, tt.want)
		}
		var got, want *oauth.Error
		if errors.As(tt.want, &want) && errors.As(err, &got) && want.Description != "" &&
			want.Description != got.Description {
			t.Errorf("%v says %q, want %q", tt.from, got.Description, want.Description)
		}
		b.expectGrants(0)
	}
}

func TestIssueUnhashableError(t *testing.T) {
	b := newBench(t)
	b.cfg.Passwords = passwords(func(context.Context, account.Attempt) (account.User, error) {
		return account.User{}, unhashable{[]error{errors.New("x")}}
	})
	_, err := b.issue(issuing.New(b.cfg), request(), b.app)
	if !errors.As(err, new(unhashable)) {
		t.Errorf("became %v", err)
	}
}

func TestIssueRefusesForms(t *testing.T) {
	b := newBench(t)
	e := issuing.New(b.cfg)
	for name, tt := range map[string]struct {
		request url.Values
		want    error
	}{
		"no password":        {request("password", ""), oauth.ErrInvalidRequest},
		"no username":        {request("username", ""), oauth.ErrInvalidRequest},
		"no grant type":      {request("grant_type", ""), oauth.ErrUnsupportedGrantType},
		"unknown grant type": {request("grant_type", "x"), oauth.ErrUnsupportedGrantType},
		"wrong password":     {request("password", "x"), oauth.ErrInvalidGrant},
	} {
		if answer, err := b.issue(e, tt.request, b.app); !errors.Is(err, tt.want) || answer != noTokens {
			t.Errorf("%s: %v, %v, want %v", name, answer, err, tt.want)
		}
	}
	b.expectGrants(0)
}

// The table of grant types and the functions that run them go together.
func TestEveryGrantTypeRuns(t *testing.T) {
	b := newBench(t)
	s := issuing.New(b.cfg)
	for _, known := range grant.Types {
		form := url.Values{"grant_type": {string(known.Name)}}
		for _, name := range known.Required {
			_, err := b.issue(s, form, b.app)
			if !errors.Is(err, oauth.ErrInvalidRequest) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s without %s: %v", known.Name, name, err)
			}
			form.Set(name, "x")
		}
		if _, err := b.issue(s, form, b.app); err == nil || errors.Is(err, oauth.ErrUnsupportedGrantType) {
			t.Errorf("%s with parameters that are not valid: %v", known.Name, err)
		}
	}
	for _, other := range []string{"", "Password", "passwordx", "implicit", "token"} {
		_, err := b.issue(s, request("grant_type", other), b.app)
		if !errors.Is(err, oauth.ErrUnsupportedGrantType) {
			t.Errorf("%q: %v", other, err)
		}
	}
}

// What happens between the check of the password and the start of the grant counts.
func TestIssueAfterTheUserChanged(t *testing.T) {
	for name, end := range map[string]func(b *bench) error{
		"password":       func(b *bench) error { return b.data.SetPassword(t.Context(), "john.doe", "hash", b.now) },
		"disabled":       func(b *bench) error { return b.data.DisableUser(t.Context(), "john.doe", b.now) },
		"deleted":        func(b *bench) error { return b.data.DeleteUser(t.Context(), "john.doe", b.now) },
		"client deleted": func(b *bench) error { return b.data.DeleteClient(t.Context(), "app", b.now) },
	} {
		t.Run(name, func(t *testing.T) {
			want := "Incorrect username or password"
			if name == "client deleted" {
				want = "client authentication failed"
			}
			b := newBench(t)
			login := b.cfg.Passwords
			b.cfg.Passwords = passwords(func(ctx context.Context, a account.Attempt) (account.User, error) {
				user, err := login.Check(ctx, a)
				must(t, err)
				return user, end(b)
			})
			answer, err := b.issue(issuing.New(b.cfg), request(), b.app)
			var got *oauth.Error
			if !errors.As(err, &got) || got.Description != want || answer != noTokens {
				t.Errorf("got %v, %v, want %s", answer, err, want)
			}
			b.expectGrants(0)
		})
	}
}

// A new secret ends what the old one can get, also in requests that were authenticated before it
// was replaced.
func TestIssueWhileTheSecretIsReplaced(t *testing.T) {
	b := newBench(t)
	c := b.app
	c.ID, c.SecretDigest, c.CreatedAt = "confidential", "digest", b.now
	c.Grants = append(c.Grants, oauth.GrantRefreshToken, oauth.GrantClientCredentials)
	must(t, b.data.CreateClient(t.Context(), c))
	e := issuing.New(b.cfg)
	service := func() url.Values { return request("grant_type", "client_credentials") }
	_, err := b.issue(e, service(), c)
	must(t, err)
	answer, err := b.issue(e, request(), c)
	must(t, err)

	must(t, b.data.ReplaceClientSecret(t.Context(), c.ID, "another digest", b.now))
	late, err := b.issue(e, request(), c)
	refusedAs(t, "password", late, err, oauth.CodeInvalidClient)
	late, err = b.issue(e, service(), c) // by the grant that is in memory, which is revoked
	must(t, err)
	expectActive(t, "a service's token", e, late.AccessToken, issuing.ErrNotActive)
	b.wait()
	late, err = b.issue(e, service(), c)
	refusedAs(t, "service", late, err, oauth.CodeInvalidClient)
	c.SecretDigest = "another digest"
	late, err = b.issue(e, request(refreshing(answer.RefreshToken)...), c)
	refusedAs(t, "refreshing what is revoked", late, err, oauth.CodeInvalidGrant)
	for _, r := range []url.Values{request(), service()} {
		answer, err := b.issue(e, r, c)
		must(t, err)
		expectActive(t, "a token for the new secret", e, answer.AccessToken, nil)
	}
}

// An outage is not invalid_grant.
func TestIssueWithoutADatabase(t *testing.T) {
	b := newBench(t)
	login := b.cfg.Passwords
	b.cfg.Passwords = passwords(func(ctx context.Context, a account.Attempt) (account.User, error) {
		user, err := login.Check(ctx, a)
		must(t, err)
		return user, b.data.Close()
	})
	if answer, err := b.issue(issuing.New(b.cfg), request(), b.app); !errors.Is(err, store.ErrUnavailable) ||
		answer != noTokens {
		t.Errorf("got %v, %v", answer, err)
	}
}

func TestIssueWithoutASigningKey(t *testing.T) {
	b := newBench(t)
	later := time.Now().Add(time.Hour).Unix()
	ring, err := keyring.Parse(fmt.Appendf(nil, `{"keys":[{"kty":"oct","kid":"later","nbf":%d,"k":"%s"}]}`, later,
		strings.Repeat("A", 43)))
	must(t, err)
	b.cfg.Signer = &token.Signer{Keys: ring}
	if answer, err := b.issue(issuing.New(b.cfg), request(), b.app); !errors.Is(err, keyring.ErrNoSigner) ||
		answer != noTokens {
		t.Errorf("got %v, %v", answer, err)
	}
}

// Two tokens of one moment differ, and each has its own bit in the status list.
func TestIssueInParallel(t *testing.T) {
	const logins = 20
	b := newBench(t)
	e := issuing.New(b.cfg)
	answers := make([]oauth.TokenResponse, logins)
	var group sync.WaitGroup
	for i := range logins {
		group.Go(func() {
			var err error
			if answers[i], err = b.issue(e, request(), b.app); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	ids, bits := map[string]bool{}, map[int64]bool{}
	for _, answer := range answers {
		claims := b.claims(answer)
		ids[claims.ID], bits[claims.Status.Index] = true, true
	}
	if len(ids) != logins || len(bits) != logins {
		t.Errorf("%d logins have %d ids and %d bits", logins, len(ids), len(bits))
	}
	b.expectGrants(logins)
}
