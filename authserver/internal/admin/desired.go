package admin

import (
	"context"
	"crypto/subtle"
	"fmt"
	"maps"
	"slices"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// Desired is the configuration that files describe. Its entries are valid, and no two have the same key.
type Desired struct {
	// APIs are the APIs. The audience client.DefaultAPI stands for the default one.
	APIs    []resource.API
	Scopes  []resource.ScopeDescription
	Clients []DesiredClient
}

// DesiredClient is a client that should exist, with exactly these settings.
type DesiredClient struct {
	// Client has the settings. Public, Secret, KeepSecret and Assertion say how it authenticates.
	client.Client
	// Public says that the client has no secret and no assertion.
	Public bool
	// Secret is the secret that the client should have; empty if it has none, or with KeepSecret.
	Secret string
	// KeepSecret says that the client keeps the secret that it has.
	KeepSecret bool
}

// Action is what a change does with a record.
type Action string

// The actions, as a list of changes shows them.
const (
	Add    Action = "+"
	Alter  Action = "~"
	Delete Action = "-"
)

// Change is a difference between the database and what is desired.
type Change struct {
	Action Action
	// Kind is client, API or scope.
	Kind string
	// Key is the client's id, the audience or the name of the scope.
	Key string
	// Settings are the settings that differ; nil if the record is deleted.
	Settings []Setting
	// Ended are the logins that the deletion ends.
	Ended store.Logins
}

// Setting is a setting of a record before and after a change, for people. No secret is in it.
type Setting struct{ Name, Was, Is string }

// state is the configuration in the database, or a desired one.
type state struct {
	apis    map[string]resource.API
	scopes  map[string]resource.ScopeDescription
	clients map[string]client.Client
	// adminAPIs are the audiences of the admin APIs of servers, which no file manages.
	adminAPIs []string
}

// newState returns an empty state.
func newState() state {
	return state{
		apis:    map[string]resource.API{},
		scopes:  map[string]resource.ScopeDescription{},
		clients: map[string]client.Client{},
	}
}

// current reads the configuration in the database.
func (s *Service) current(ctx context.Context) (state, error) {
	now := newState()
	apis, err := s.Store.APIs(ctx)
	if err != nil {
		return now, err
	}
	for _, a := range apis {
		if isAdminAPI(a) {
			now.adminAPIs = append(now.adminAPIs, a.Audience)
			continue
		}
		now.apis[s.apiKey(a.Audience)] = a
	}
	scopes, err := s.Store.ScopeDescriptions(ctx)
	if err != nil {
		return now, err
	}
	for _, d := range scopes {
		now.scopes[d.Scope] = d
	}
	clients, err := s.Store.Clients(ctx, record.Page{})
	for _, c := range clients {
		now.clients[c.ID] = c
	}
	return now, err
}

// apiKey returns what files call an API.
func (s *Service) apiKey(audience string) string {
	if s.Store.IsDefaultAPI(audience) {
		return client.DefaultAPI
	}
	return audience
}

// Export returns the configuration in the database, sorted. It leaves out clients that have registered themselves, and
// the default API if that is as the server has created it.
func (s *Service) Export(ctx context.Context) (d Desired, err error) {
	now, err := s.current(ctx)
	if err != nil {
		return Desired{}, err
	}
	for _, key := range slices.Sorted(maps.Keys(now.apis)) {
		a := now.apis[key]
		if key == client.DefaultAPI && a.AnyScope && a.Name == a.Audience {
			continue
		}
		a.Audience = key
		d.APIs = append(d.APIs, a)
	}
	for _, name := range slices.Sorted(maps.Keys(now.scopes)) {
		d.Scopes = append(d.Scopes, now.scopes[name])
	}
	for _, id := range slices.Sorted(maps.Keys(now.clients)) {
		if c := now.clients[id]; c.Source == client.SourceAdministrator {
			d.Clients = append(d.Clients, DesiredClient{Client: c, Public: c.Public(), KeepSecret: c.HasSecret()})
		}
	}
	return d, nil
}

// Plan is what Apply does.
type Plan struct {
	desired Desired
	prune   bool
	// Changes are in the order in which they are made; none if everything is as desired.
	Changes []Change
}

// Plan compares the database with what is desired. With prune, records that are not desired are deleted, except the
// default API and clients that have registered themselves. It returns client.ErrBad, resource.ErrBad or
// record.ErrNotFound if the changes are not possible; the text says why.
func (s *Service) Plan(ctx context.Context, d Desired, prune bool) (Plan, error) {
	now, err := s.current(ctx)
	if err != nil {
		return Plan{}, err
	}
	p := Plan{desired: d, prune: prune}
	if p.Changes, err = now.changes(d, prune); err != nil {
		return Plan{}, err
	}
	for i, c := range p.Changes {
		of := store.LoginsOf{ClientID: c.Key}
		if c.Kind == kindAPI {
			of = store.LoginsOf{Audience: c.Key}
		}
		if c.Action != Delete || c.Kind == kindScope {
			continue
		}
		if p.Changes[i].Ended, err = s.Store.CountLogins(ctx, of, s.Now()); err != nil {
			return Plan{}, err
		}
	}
	return p, nil
}

// The kinds of records.
const (
	kindAPI    = "API"
	kindScope  = "scope"
	kindClient = "client"
)

// changes returns the changes to make, in this order: APIs and scopes, then clients, then deletions.
func (now state) changes(d Desired, prune bool) ([]Change, error) {
	var all []Change
	desired := newState()
	for _, a := range d.APIs {
		desired.apis[a.Audience] = a
		was, exists := now.apis[a.Audience]
		if !exists && a.Audience == client.DefaultAPI {
			return nil, fmt.Errorf("%w: there is no default API yet: start a server first", resource.ErrBad)
		}
		all = compare(all, kindAPI, a.Audience, exists, apiSettings(was), apiSettings(a))
	}
	for _, scope := range d.Scopes {
		desired.scopes[scope.Scope] = scope
		was, exists := now.scopes[scope.Scope]
		all = compare(all, kindScope, scope.Scope, exists,
			[]Setting{{Name: "description", Is: was.Text}}, []Setting{{Name: "description", Is: scope.Text}})
	}
	for _, c := range d.Clients {
		desired.clients[c.ID] = c.Client
		was, exists := now.clients[c.ID]
		if err := c.check(was, exists); err != nil {
			return nil, err
		}
		all = compare(all, kindClient, c.ID, exists, clientSettings(was, was.HasSecret(), was.Public()), c.settings(was))
	}
	if prune {
		all = append(all, now.deletions(desired)...)
	}
	return all, now.checkAudiences(d, prune)
}

// deletions returns the changes that delete what is not desired.
func (now state) deletions(desired state) (all []Change) {
	for _, id := range slices.Sorted(maps.Keys(now.clients)) {
		if _, ok := desired.clients[id]; !ok && now.clients[id].Source == client.SourceAdministrator {
			all = append(all, Change{Action: Delete, Kind: kindClient, Key: id})
		}
	}
	for _, audience := range slices.Sorted(maps.Keys(now.apis)) {
		if _, ok := desired.apis[audience]; !ok && audience != client.DefaultAPI {
			all = append(all, Change{Action: Delete, Kind: kindAPI, Key: audience})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(now.scopes)) {
		if _, ok := desired.scopes[name]; !ok {
			all = append(all, Change{Action: Delete, Kind: kindScope, Key: name})
		}
	}
	return all
}

// checkAudiences returns record.ErrNotFound unless all APIs that clients name will exist.
func (now state) checkAudiences(d Desired, prune bool) error {
	exists := map[string]bool{client.DefaultAPI: true}
	for key, a := range now.apis {
		if key == client.DefaultAPI || !prune {
			exists[a.Audience] = true
		}
	}
	for _, audience := range now.adminAPIs {
		exists[audience] = true
	}
	for _, a := range d.APIs {
		exists[a.Audience] = true
	}
	for _, c := range d.Clients {
		for _, audience := range slices.Concat(c.IntrospectsFor, c.ExchangeFrom, c.ExchangeTo) {
			if !exists[audience] {
				return fmt.Errorf("client %s: API %s %w", c.ID, audience, record.ErrNotFound)
			}
		}
	}
	return nil
}

// check returns client.ErrBad if the client cannot become as desired.
func (c DesiredClient) check(was client.Client, exists bool) error {
	switch {
	case !exists && c.KeepSecret:
		return fmt.Errorf("%w: client %s does not exist, so it has no secret to keep: say where its secret is",
			client.ErrBad, c.ID)
	case !exists:
		return nil
	case was.Source != client.SourceAdministrator:
		return fmt.Errorf("%w: client %s has registered itself, so no file can manage it", client.ErrBad, c.ID)
	case c.Public != was.Public():
		return fmt.Errorf("%w: client %s cannot be changed from public to confidential, or back: delete it first, "+
			"or choose another id", client.ErrBad, c.ID)
	case c.KeepSecret && !was.HasSecret():
		return fmt.Errorf("%w: client %s has no secret to keep: say where its secret is", client.ErrBad, c.ID)
	}
	return nil
}

// replacesSecret reports whether the client, whose stored version is was, gets another secret.
func (c DesiredClient) replacesSecret(was client.Client) bool {
	digest := secret.Digest(c.Secret)
	return c.Secret != "" && subtle.ConstantTimeCompare([]byte(digest), []byte(was.SecretDigest)) != 1
}
