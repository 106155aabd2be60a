package adminapi

import (
	"context"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// ResourceAPI is an API that tokens can be for.
type ResourceAPI struct {
	Audience  string    `json:"audience" doc:"Its identifier: the resource parameter of requests, and aud of its tokens"`
	Name      string    `json:"name"`
	Scope     string    `json:"scope" doc:"Scopes that tokens for it may have; empty with any_scope"`
	AnyScope  bool      `json:"any_scope" doc:"Tokens for it may have every scope of the client"`
	Default   bool      `json:"default" doc:"It is the API of tokens for which a request names none"`
	CreatedAt time.Time `json:"created_at"`
}

func (a *API) showAPI(api resource.API) ResourceAPI {
	return ResourceAPI{
		Audience: api.Audience, Name: api.Name, Scope: api.Scope.String(), AnyScope: api.AnyScope,
		Default: a.cfg.Admin.IsDefaultAPI(api.Audience), CreatedAt: api.CreatedAt.UTC().Truncate(time.Second),
	}
}

// ListAPIs lists all APIs, sorted by audience.
func (a *API) ListAPIs(ctx context.Context, _ *struct{}) (*ListOut[ResourceAPI], error) {
	apis, err := a.cfg.Admin.APIs(ctx)
	return listOut(apis, err, a.showAPI)
}

// APIOut is the response with an API.
type APIOut struct {
	Location string `header:"Location" doc:"URL of an API that was registered"`
	ETag     string `header:"ETag"`
	Body     ResourceAPI
}

// apiOut returns the response with an API, or the error.
func (a *API) apiOut(api resource.API, err error) (*APIOut, error) {
	if err != nil {
		return nil, err
	}
	shown := a.showAPI(api)
	return &APIOut{ETag: ETag(shown), Body: shown}, nil
}

// RegisterAPIIn is the input of RegisterAPI.
type RegisterAPIIn struct {
	Body struct {
		Audience string `json:"audience" maxLength:"255" doc:"Its identifier, usually its URL"`
		Name     string `json:"name,omitempty" maxLength:"128" doc:"Display name; by default the audience"`
		Scope    string `json:"scope" maxLength:"4096" doc:"Scopes that tokens for it may have, separated by spaces"`
	}
}

// RegisterAPI registers an API. Tokens for it are issued when the server has a key for it: see GET /keys.
func (a *API) RegisterAPI(ctx context.Context, in *RegisterAPIIn) (*APIOut, error) {
	scope, err := oauth.ParseScope(in.Body.Scope)
	if err != nil {
		return nil, err
	}
	api, err := a.cfg.Admin.RegisterAPI(ctx, resource.API{
		Audience: in.Body.Audience, Name: in.Body.Name, Scope: scope,
	})
	out, err := a.apiOut(api, err)
	if err == nil {
		out.Location = a.location("apis", api.Audience)
	}
	return out, err
}

// APIIn names an API.
type APIIn struct {
	Audience string `path:"audience" maxLength:"255" doc:"Its identifier, escaped as in every URL"`
}

// ChangedAPIIn names an API that must not have changed.
type ChangedAPIIn struct {
	APIIn
	IfMatch string `header:"If-Match" doc:"ETag of the API; the response is 412 if it has changed since"`
}

// GetAPI shows an API.
func (a *API) GetAPI(ctx context.Context, in *APIIn) (*APIOut, error) {
	return a.apiOut(a.cfg.Admin.API(ctx, in.Audience))
}

// ChangeAPIIn is the input of ChangeAPI.
type ChangeAPIIn struct {
	ChangedAPIIn
	Body struct {
		Name     *string `json:"name,omitempty" maxLength:"128"`
		Scope    *string `json:"scope,omitempty" maxLength:"4096" doc:"All scopes, separated by spaces; ends any_scope"`
		AnyScope bool    `json:"any_scope,omitempty" doc:"Let tokens for it have every scope of the client"`
	}
}

// ChangeAPI changes an API. What is left out stays as it is. Tokens that are already issued keep their scopes.
func (a *API) ChangeAPI(ctx context.Context, in *ChangeAPIIn) (*APIOut, error) {
	p := admin.APIPatch{Name: in.Body.Name, AnyScope: in.Body.AnyScope}
	if in.Body.Scope != nil {
		scope, err := oauth.ParseScope(*in.Body.Scope)
		if err != nil {
			return nil, err
		}
		p.Scope = append(oauth.Scope{}, scope...) // not nil, which would keep the current one
	}
	return a.apiOut(a.cfg.Admin.ChangeAPI(ctx, in.Audience, p, matching(in.IfMatch, a.showAPI)))
}

// DeleteAPI deletes an API and ends the logins for it.
func (a *API) DeleteAPI(ctx context.Context, in *ChangedAPIIn) (*None, error) {
	_, err := a.cfg.Admin.DeleteAPI(ctx, in.Audience, matching(in.IfMatch, a.showAPI))
	return nothing(err)
}

// Scope is the description of a scope.
type Scope struct {
	Scope       string `json:"scope"`
	Description string `json:"description" doc:"What the scope allows an app to do, as the consent page shows it"`
}

// ListScopes lists the descriptions of scopes.
func (a *API) ListScopes(ctx context.Context, _ *struct{}) (*ListOut[Scope], error) {
	found, err := a.cfg.Admin.Scopes(ctx)
	return listOut(found, err, func(d resource.ScopeDescription) Scope { return Scope{d.Scope, d.Text} })
}

// ScopeIn names a scope.
type ScopeIn struct {
	Scope string `path:"scope" maxLength:"1024" doc:"Name of the scope, escaped as in every URL"`
}

// DescribeScopeIn is the input of DescribeScope.
type DescribeScopeIn struct {
	ScopeIn
	Body struct {
		Description string `json:"description" maxLength:"128" doc:"What the scope allows an app to do, starting with a verb"`
	}
}

// ScopeOut is the response with the description of a scope.
type ScopeOut struct{ Body Scope }

// DescribeScope stores the description of a scope in place of the previous one.
func (a *API) DescribeScope(ctx context.Context, in *DescribeScopeIn) (*ScopeOut, error) {
	err := a.cfg.Admin.DescribeScope(ctx, resource.ScopeDescription{Scope: in.Scope, Text: in.Body.Description})
	if err != nil {
		return nil, err
	}
	return &ScopeOut{Scope{in.Scope, in.Body.Description}}, nil
}

// ForgetScope deletes the description of a scope. Clients and APIs keep the scope.
func (a *API) ForgetScope(ctx context.Context, in *ScopeIn) (*None, error) {
	return nothing(a.cfg.Admin.ForgetScope(ctx, in.Scope))
}
