package admin

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// Bounds of RotateSecret.KeepOld.
const (
	MinKeepOld = time.Minute
	MaxKeepOld = 30 * 24 * time.Hour
)

// Errors about clients.
var (
	// ErrLacksScope means that a change removes a scope that the client does not have. The wrapping error names it.
	ErrLacksScope = errors.New("the client does not have the scope")
	// ErrBadKeepOld means that RotateSecret.KeepOld is out of bounds, or set although the secret has leaked.
	ErrBadKeepOld = fmt.Errorf("an old secret can be kept from %v to %v, and not if it has leaked", MinKeepOld, MaxKeepOld)
)

// Clients returns a page of the clients, sorted by id.
func (s *Service) Clients(ctx context.Context, page record.Page) ([]client.Client, error) {
	return s.Store.Clients(ctx, page)
}

// Client returns a client, or record.ErrNotFound.
func (s *Service) Client(ctx context.Context, id string) (client.Client, error) {
	return s.Store.ClientByID(ctx, id)
}

// NewClient is a client to register. RegisterClient sets its SecretDigest and CreatedAt.
type NewClient struct {
	client.Client
	// Public says that the client cannot keep a secret, so it gets none. Neither does a client that authenticates by
	// assertions.
	Public bool
	// Secret is a secret that the caller has chosen; empty to generate one.
	Secret string
}

// needsSecret reports whether the client gets a secret.
func (n NewClient) needsSecret() bool { return n.Secret != "" || !n.Public && !n.Assertion.Enabled() }

// completed returns the client with its defaults. If its secret is yet to be generated, its digest is a placeholder.
func (n NewClient) completed() client.Client {
	c := n.Client
	c.Name = cmp.Or(c.Name, c.ID)
	c.Introspects = c.Introspects || len(c.IntrospectsFor) > 0
	if c.Introspects && len(c.IntrospectsFor) == 0 {
		c.IntrospectsFor = []string{client.DefaultAPI}
	}
	switch {
	case n.Public:
		c.SecretDigest = ""
	case n.Secret != "":
		c.SecretDigest = secret.Digest(n.Secret)
	case n.needsSecret():
		c.SecretDigest = "-" // until the secret is generated
	default:
		c.SecretDigest = client.NoSecret
	}
	return c
}

// Validate returns client.ErrBad if the client cannot be registered.
func (n NewClient) Validate() error {
	if n.Secret != "" {
		if n.Public {
			return fmt.Errorf("%w: a public client has no secret", client.ErrBad)
		}
		if err := client.CheckSecret(n.Secret); err != nil {
			return err
		}
	}
	return n.completed().Validate()
}

// RegisterClient registers a client and returns it with its new secret, which is not stored; empty if no secret was
// made. It returns client.ErrBad or record.ErrExists. For an API that does not exist, the error is both client.ErrBad
// and record.ErrNotFound.
func (s *Service) RegisterClient(ctx context.Context, n NewClient) (c client.Client, made string, err error) {
	c = n.completed()
	c.CreatedAt = s.Now()
	if err := n.Validate(); err != nil {
		return client.Client{}, "", err
	}
	if n.needsSecret() && n.Secret == "" {
		if made, c.SecretDigest, err = client.GenerateSecret(rand.Reader); err != nil {
			return client.Client{}, "", err
		}
	}
	if err := s.checkAPIs(ctx, c.IntrospectsFor, c.ExchangeFrom, c.ExchangeTo); err != nil {
		return client.Client{}, "", err
	}
	return c, made, s.Store.CreateClient(ctx, c)
}

// checkAPIs returns an error that is both client.ErrBad and record.ErrNotFound unless all audiences but
// client.DefaultAPI are registered. An error of the store stays what it is.
func (s *Service) checkAPIs(ctx context.Context, lists ...[]string) error {
	for _, audience := range slices.Concat(lists...) {
		if audience == client.DefaultAPI {
			continue
		}
		_, err := s.Store.APIByAudience(ctx, audience)
		if errors.Is(err, record.ErrNotFound) {
			err = fmt.Errorf("%w: %s: %w", client.ErrBad, audience, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ClientPatch is a change of a client. Fields that are nil stay as they are. An empty list removes all entries.
type ClientPatch struct {
	Name                   *string
	Grants                 []oauth.GrantType
	Scope                  oauth.Scope
	AddScope               oauth.Scope
	RemoveScope            oauth.Scope
	RedirectURIs           []string
	PostLogoutRedirectURIs []string
	BackchannelLogoutURI   *string
	// Introspects also sets IntrospectsFor if that is nil: to the default API, or to none.
	Introspects         *bool
	IntrospectsFor      []string
	ExchangeFrom        []string
	ExchangeTo          []string
	FirstParty          *bool
	WithoutPKCE         *bool
	RequirePAR          *bool
	RequireDPoP         *bool
	RequireSecondFactor *bool
	// Admin lets the client, a service, have tokens of the admin API for itself.
	Admin            *bool
	IDTokenAlgorithm *string
	// Assertion says what the client's assertions must be. With the zero value, it no longer authenticates by them.
	Assertion *client.Assertion
	// NoSecret removes the client's secret.
	NoSecret bool
}

// ChangeClient changes a client if the precondition match holds; nil always holds. It returns the client before and
// after. A client that no administrator has registered is kept from then on, even if it already had these settings.
// The error is record.ErrNotFound, client.ErrBad, ErrLacksScope, or ErrChanged. For an API that does not exist, it is
// both client.ErrBad and record.ErrNotFound.
func (s *Service) ChangeClient(
	ctx context.Context,
	id string,
	p ClientPatch,
	match func(client.Client) bool,
) (was, is client.Client, err error) {
	if err := s.checkAPIs(ctx, p.IntrospectsFor, p.ExchangeFrom, p.ExchangeTo); err != nil {
		return was, is, err
	}
	is, err = s.Store.UpdateClient(ctx, id, s.Now(), func(current client.Client) (client.Client, error) {
		if err := check(match, current); err != nil {
			return client.Client{}, err
		}
		was = current
		changed, err := p.apply(current)
		changed.Kept = changed.Source != client.SourceAdministrator
		return changed, err
	})
	return was, is, err
}

// apply returns the changed client, or why it is not valid.
func (p ClientPatch) apply(c client.Client) (client.Client, error) {
	was := c
	if p.NoSecret && c.Public() {
		return client.Client{}, fmt.Errorf("%w: %s is public and has no secret", client.ErrBad, c.ID)
	}
	if p.NoSecret {
		c.SecretDigest = client.NoSecret
	}
	scope, err := p.scope(c.Scope)
	if err != nil {
		return client.Client{}, err
	}
	c.Scope = scope
	set(&c.Assertion, p.Assertion)
	set(&c.Name, p.Name)
	setList(&c.Grants, p.Grants)
	setList(&c.RedirectURIs, p.RedirectURIs)
	setList(&c.PostLogoutRedirectURIs, p.PostLogoutRedirectURIs)
	set(&c.BackchannelLogoutURI, p.BackchannelLogoutURI)
	p.setIntrospection(&c)
	setList(&c.ExchangeFrom, p.ExchangeFrom)
	setList(&c.ExchangeTo, p.ExchangeTo)
	set(&c.FirstParty, p.FirstParty)
	set(&c.WithoutPKCE, p.WithoutPKCE)
	set(&c.RequirePAR, p.RequirePAR)
	set(&c.RequireDPoP, p.RequireDPoP)
	set(&c.RequireSecondFactor, p.RequireSecondFactor)
	set(&c.Admin, p.Admin)
	set(&c.IDTokenAlgorithm, p.IDTokenAlgorithm)
	if c.Source == client.SourceDocument {
		return c, checkDocumented(was, c)
	}
	return c, c.Validate()
}

// checkDocumented returns client.ErrBad if a change of a client that is described by a document is about more than what
// an administrator may require of it. The server reads the rest in the document.
func checkDocumented(was, is client.Client) error {
	is.RequirePAR, is.RequireDPoP, is.RequireSecondFactor = was.RequirePAR, was.RequireDPoP, was.RequireSecondFactor
	if reflect.DeepEqual(was, is) {
		return nil
	}
	return fmt.Errorf("%w: the document at %s describes the client: of its settings, an administrator can only set "+
		"whether it must push its requests, use DPoP, and have its users log in with a second factor",
		client.ErrBad, is.ID)
}

// set sets a value unless the new one is nil.
func set[T any](value, to *T) {
	if to != nil {
		*value = *to
	}
}

// setList sets a list unless the new one is nil. An empty one is stored as nil, as it is read.
func setList[S ~[]E, E any](list *S, to S) {
	if to != nil {
		*list = slices.Clone(to)
	}
	if len(*list) == 0 {
		*list = nil
	}
}

// setIntrospection sets whether the client may introspect tokens, and of which APIs.
func (p ClientPatch) setIntrospection(c *client.Client) {
	set(&c.Introspects, p.Introspects)
	switch {
	case p.IntrospectsFor != nil:
		setList(&c.IntrospectsFor, p.IntrospectsFor)
		c.Introspects = len(p.IntrospectsFor) > 0
	case !c.Introspects:
		c.IntrospectsFor = nil
	case p.Introspects != nil && len(c.IntrospectsFor) == 0: // another change gives no API, also if the last was deleted
		c.IntrospectsFor = []string{client.DefaultAPI}
	}
}

// scope returns the new scope of a client, given its current one.
func (p ClientPatch) scope(current oauth.Scope) (oauth.Scope, error) {
	if p.Scope != nil {
		current = p.Scope
	}
	if name, missing := current.Missing(p.RemoveScope...); missing {
		return nil, fmt.Errorf("%w %s: it has %s", ErrLacksScope, name, current)
	}
	all := append(slices.Clone(current), p.AddScope...)
	return oauth.ParseScope(Without(all, p.RemoveScope).String())
}

// Without returns the scopes that are not among others.
func Without(scope, others oauth.Scope) oauth.Scope {
	return slices.DeleteFunc(slices.Clone(scope), func(name string) bool { return slices.Contains(others, name) })
}

// DeleteClient deletes a client if the precondition match holds, and revokes its grants. It returns how many logins
// there were right before. The error is record.ErrNotFound or ErrChanged.
func (s *Service) DeleteClient(
	ctx context.Context,
	id string,
	match func(client.Client) bool,
) (ended store.Logins, err error) {
	now := s.Now()
	if ended, err = s.Store.CountLogins(ctx, store.LoginsOf{ClientID: id}, now); err != nil {
		return ended, err
	}
	return ended, s.Store.Together(ctx, "", now, func(ctx context.Context) error {
		current, err := s.Store.LockClient(ctx, id)
		if err == nil {
			err = check(match, current)
		}
		if err != nil {
			return err
		}
		return s.Store.DeleteClient(ctx, id, now)
	})
}

// ClientLogins counts the logins that deleting a client would end. It returns record.ErrNotFound.
func (s *Service) ClientLogins(ctx context.Context, id string) (store.Logins, error) {
	if _, err := s.Store.ClientByID(ctx, id); err != nil {
		return store.Logins{}, err
	}
	return s.Store.CountLogins(ctx, store.LoginsOf{ClientID: id}, s.Now())
}

// ScopesElsewhere returns the APIs, other than the default one, at which a client with the scope can use some of it: it
// must request tokens for them by the resource parameter (RFC 8707).
func (s *Service) ScopesElsewhere(ctx context.Context, scope oauth.Scope) ([]resource.API, error) {
	apis, err := s.Store.APIs(ctx)
	return slices.DeleteFunc(apis, func(a resource.API) bool {
		return s.Store.IsDefaultAPI(a.Audience) || len(scope.Common(a.Scope)) == 0
	}), err
}
