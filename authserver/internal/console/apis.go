package console

import (
	"context"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/adminapi"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// apisTrail leads to the list of APIs.
var apisTrail = []link{to(apisPath, "APIs")}

// listAPIs serves GET /admin/apis.
func (c *Console) listAPIs(v *visit) (page, error) {
	out, err := c.api.ListAPIs(v.ctx(), &struct{}{})
	if err != nil {
		return page{}, err
	}
	t := &table{
		Caption: "APIs, by audience", Columns: []string{"Name", "Audience", "Scopes", "Registered"},
		Empty: "No API is registered.",
	}
	for _, a := range out.Body.Items {
		name := cell{Text: a.Name, Href: address(apiPath, "audience", a.Audience)}
		if a.Default {
			name.Badge = "default"
		}
		t.Rows = append(t.Rows, []cell{name, code(a.Audience), scopesCell(a), at(a.CreatedAt)})
	}
	return page{Title: "APIs", Done: done(v), Sections: []section{{
		Text: []string{"A token is for one API, its audience. A client names it with the parameter resource; without " +
			"it, the token is for the default API."},
		Table: t,
	}, {
		Title: "Register an API",
		Form: &form{
			Fields: append([]*field{{
				Kind: kindText, Name: "audience", Label: "Audience",
				Hint: "The URL of the API, such as https://api.example.", Required: true, Faults: []error{record.ErrExists},
			}}, apiFields(adminapi.ResourceAPI{})[:2]...),
			Button: "Register",
		},
	}}}, nil
}

func scopesCell(a adminapi.ResourceAPI) cell {
	if a.AnyScope {
		return cell{Text: "all", Soft: true}
	}
	return list(strings.Fields(a.Scope))
}

// apiFields returns the fields of an API that can be changed.
func apiFields(a adminapi.ResourceAPI) []*field {
	return []*field{
		{Kind: kindText, Name: "name", Label: "Name", Value: a.Name, Hint: "Users see it when an app asks for access.",
			Max: 128, Named: "name"},
		{Kind: kindText, Name: "scope", Label: "Scopes", Value: a.Scope,
			Hint: "Those that tokens for the API may have, with spaces between them.", Faults: []error{oauth.ErrInvalidScope}},
		// A new API has scopes of its own: this one is left out of its form.
		check("any_scope", "All scopes of the client", "Tokens for the API may have every scope that the client has.",
			a.AnyScope),
	}
}

// registerAPI serves POST /admin/apis.
func (c *Console) registerAPI(v *visit) (page, error) {
	in := adminapi.RegisterAPIIn{}
	in.Body.Audience, in.Body.Name, in.Body.Scope = v.typed("audience"), v.typed("name"),
		strings.Join(v.words("scope"), " ")
	_, err := c.api.RegisterAPI(v.ctx(), &in)
	return goTo(address(apisPath, "done", "created")), err
}

// apiIn returns which API the page is about.
func (v *visit) apiIn() adminapi.APIIn { return adminapi.APIIn{Audience: v.query("audience")} }

// showAPI serves GET /admin/api.
func (c *Console) showAPI(v *visit) (page, error) {
	in := v.apiIn()
	out, err := c.api.GetAPI(v.ctx(), &in)
	if err != nil {
		return page{}, err
	}
	a := out.Body
	about := section{Facts: []fact{
		{"Audience", code(a.Audience)}, {"Scopes", scopesCell(a)}, {"Registered", at(a.CreatedAt)},
	}}
	switch {
	case a.Audience == c.cfg.Issuer+adminapi.Path:
		about.Text = []string{"This is the API that this console uses too. It belongs to the server, and cannot be changed."}
		return page{Title: a.Name, Trail: apisTrail, Sections: []section{about}}, nil
	case a.Default:
		about.Text = []string{"This is the default API, which the server's --audience sets."}
	default:
		about.Links = []link{{Path: address(apiPath+"/delete", "audience", a.Audience), Text: "Delete", Bad: true}}
	}
	return page{Title: a.Name, Trail: apisTrail, Done: done(v), Sections: []section{about, {
		Title: "Change the API",
		Form:  &form{Fields: append([]*field{hidden("etag", out.ETag)}, apiFields(a)...), Button: "Save"},
	}}}, nil
}

// changeAPI serves POST /admin/api.
func (c *Console) changeAPI(v *visit) (page, error) {
	name := v.typed("name")
	in := adminapi.ChangeAPIIn{ChangedAPIIn: adminapi.ChangedAPIIn{APIIn: v.apiIn(), IfMatch: v.form.Get("etag")}}
	in.Body.Name, in.Body.AnyScope = &name, v.checked("any_scope")
	if !in.Body.AnyScope {
		scope := strings.Join(v.words("scope"), " ")
		in.Body.Scope = &scope
	}
	_, err := c.api.ChangeAPI(v.ctx(), &in)
	return goTo(address(apiPath, "audience", v.query("audience"), "done", "saved")), err
}

// deletingAPI serves /admin/api/delete.
func (c *Console) deletingAPI(v *visit) (confirmation, error) {
	in := v.apiIn()
	out, err := c.api.GetAPI(v.ctx(), &in)
	if err != nil {
		return confirmation{}, err
	}
	n, err := c.api.CountAPILogins(v.ctx(), &in)
	if err != nil {
		return confirmation{}, err
	}
	back := address(apiPath, "audience", in.Audience)
	return confirmation{
		title: "Delete this API?", trail: append(apisTrail[:1:1], to(back, out.Body.Name)),
		says: []string{"This ends " + count(n.Body.Logins, "login") + " for " + in.Audience +
			". Clients no longer get tokens for it."},
		warns: "Logins that end do not come back when the API is registered again.", button: "Delete the API", bad: true,
		back: back, next: address(apisPath, "done", "deleted"),
		do: func(ctx context.Context, v *visit) error {
			_, err := c.api.DeleteAPI(ctx, &adminapi.ChangedAPIIn{APIIn: v.apiIn()})
			return err
		},
	}, nil
}
