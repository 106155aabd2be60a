package admin

import (
	"context"
	"fmt"
	"slices"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// Apply makes the changes of a plan in one transaction: all or none. Calls run one at a time, also those of other
// processes. It returns ErrChanged if the plan is out of date: make a new one then.
func (s *Service) Apply(ctx context.Context, p Plan) error {
	if len(p.Changes) == 0 {
		return nil
	}
	return s.Store.Together(ctx, "apply", s.Now(), func(ctx context.Context) error {
		now, err := s.current(ctx)
		if err != nil {
			return err
		}
		changes, err := now.changes(p.desired, p.prune)
		if err != nil {
			return err
		}
		if !slices.EqualFunc(changes, p.Changes, sameChange) {
			return ErrChanged
		}
		for _, c := range changes {
			if err := s.perform(ctx, c, p.desired); err != nil {
				return fmt.Errorf("%s %s: %w", c.Kind, c.Key, err)
			}
		}
		return nil
	})
}

// sameChange reports whether two changes are the same. The number of logins that they end may differ.
func sameChange(a, b Change) bool {
	return a.Action == b.Action && a.Kind == b.Kind && a.Key == b.Key && slices.Equal(a.Settings, b.Settings)
}

// perform makes a change.
func (s *Service) perform(ctx context.Context, c Change, d Desired) (err error) {
	switch {
	case c.Kind == kindClient && c.Action == Delete:
		_, err = s.DeleteClient(ctx, c.Key, nil)
	case c.Kind == kindClient:
		i := slices.IndexFunc(d.Clients, func(desired DesiredClient) bool { return desired.ID == c.Key })
		return s.putClient(ctx, d.Clients[i], c.Action)
	case c.Kind == kindAPI && c.Action == Delete:
		_, err = s.DeleteAPI(ctx, c.Key, nil)
	case c.Kind == kindAPI:
		i := slices.IndexFunc(d.APIs, func(desired resource.API) bool { return desired.Audience == c.Key })
		return s.putAPI(ctx, d.APIs[i], c.Action)
	case c.Action == Delete:
		return s.ForgetScope(ctx, c.Key)
	default:
		i := slices.IndexFunc(d.Scopes, func(desired resource.ScopeDescription) bool { return desired.Scope == c.Key })
		return s.DescribeScope(ctx, d.Scopes[i])
	}
	return err
}

// putAPI adds or changes an API.
func (s *Service) putAPI(ctx context.Context, a resource.API, action Action) error {
	if action == Add {
		_, err := s.RegisterAPI(ctx, a)
		return err
	}
	audience := a.Audience
	if audience == client.DefaultAPI {
		audience = s.Store.DefaultAPI()
	}
	p := APIPatch{Name: &a.Name, AnyScope: a.AnyScope}
	if !a.AnyScope {
		p.Scope = a.Scope
	}
	_, err := s.ChangeAPI(ctx, audience, p, nil)
	return err
}

// putClient adds or changes a client. It sets a new secret first, since a client without a secret may not lose its
// keys.
func (s *Service) putClient(ctx context.Context, d DesiredClient, action Action) error {
	if action == Add {
		_, _, err := s.RegisterClient(ctx, NewClient{Client: d.Client, Public: d.Public, Secret: d.Secret})
		return err
	}
	was, err := s.Store.LockClient(ctx, d.ID)
	if err == nil && d.replacesSecret(was) {
		err = s.setSecret(ctx, was, secret.Digest(d.Secret), RotateSecret{}, s.Now())
	}
	if err != nil {
		return err
	}
	_, _, err = s.ChangeClient(ctx, d.ID, d.patch(), nil)
	return err
}

// patch returns the change that makes a client as desired, except for its secret.
func (c DesiredClient) patch() ClientPatch {
	return ClientPatch{
		Name:                   &c.Name,
		Grants:                 notNil(c.Grants),
		Scope:                  notNil(c.Scope),
		RedirectURIs:           notNil(c.RedirectURIs),
		PostLogoutRedirectURIs: notNil(c.PostLogoutRedirectURIs),
		BackchannelLogoutURI:   &c.BackchannelLogoutURI,
		Introspects:            &c.Introspects,
		IntrospectsFor:         notNil(c.IntrospectsFor),
		ExchangeFrom:           notNil(c.ExchangeFrom),
		ExchangeTo:             notNil(c.ExchangeTo),
		FirstParty:             &c.FirstParty,
		WithoutPKCE:            &c.WithoutPKCE,
		RequirePAR:             &c.RequirePAR,
		RequireDPoP:            &c.RequireDPoP,
		RequireSecondFactor:    &c.RequireSecondFactor,
		Admin:                  &c.Admin,
		IDTokenAlgorithm:       &c.IDTokenAlgorithm,
		Assertion:              &c.Assertion,
		NoSecret:               !c.Public && c.Secret == "" && !c.KeepSecret,
	}
}

// notNil returns a copy of a list, which is empty rather than nil.
func notNil[S ~[]E, E any](list S) S { return append(S{}, list...) }

// GrantNames returns grant types as people write them. A newer server may have added one that this program does not
// know.
func GrantNames(grants []oauth.GrantType) []string {
	names := make([]string, len(grants))
	for i, name := range grants {
		names[i] = string(name)
		if t, known := grant.TypeOf(name); known {
			names[i] = t.String()
		}
	}
	return names
}
