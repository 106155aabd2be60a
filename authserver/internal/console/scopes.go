package console

import (
	"context"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/adminapi"
)

// listScopes serves GET /admin/scopes.
func (c *Console) listScopes(v *visit) (page, error) {
	out, err := c.api.ListScopes(v.ctx(), &struct{}{})
	if err != nil {
		return page{}, err
	}
	t := &table{
		Caption: "Scopes with a description", Columns: []string{"Scope", "What users read", "Change", "Forget"},
		Empty: "No scope has a description.",
	}
	form := &form{Fields: []*field{
		{Kind: kindText, Name: "scope", Label: "Scope", Required: true, Hint: "Such as items:read.",
			Faults: []error{oauth.ErrInvalidScope}},
		{Kind: kindText, Name: "description", Label: "Description", Required: true, Named: "description",
			Hint: "What it allows, as users read it: “See your items”."},
	}, Button: "Save"}
	for _, s := range out.Body.Items {
		if s.Scope == v.query("scope") {
			form.Fields[0].Value, form.Fields[1].Value = s.Scope, s.Description
		}
		t.Rows = append(t.Rows, []cell{
			code(s.Scope), text(s.Description),
			{Act: &act{address(scopesPath, "scope", s.Scope), "Change", "the description of " + s.Scope}},
			{Act: &act{address(scopesPath+"/forget", "scope", s.Scope), "Forget", "the description of " + s.Scope}},
		})
	}
	return page{Title: "Scopes", Done: done(v), Sections: []section{{
		Text: []string{"A scope exists where a client or an API has it. Its description is what users read when an app " +
			"asks for access."},
		Table: t,
	}, {Title: "Describe a scope", Form: form}}}, nil
}

// describeScope serves POST /admin/scopes.
func (c *Console) describeScope(v *visit) (page, error) {
	in := adminapi.DescribeScopeIn{ScopeIn: adminapi.ScopeIn{Scope: v.typed("scope")}}
	in.Body.Description = v.typed("description")
	_, err := c.api.DescribeScope(v.ctx(), &in)
	return goTo(address(scopesPath, "done", "saved")), err
}

// forgettingScope serves /admin/scopes/forget.
func (c *Console) forgettingScope(v *visit) (confirmation, error) {
	scope := v.query("scope")
	return confirmation{
		title: "Forget this description?", trail: []link{to(scopesPath, "Scopes")},
		says: []string{"Users will see the name " + scope + " instead of a description. Clients and APIs keep the " +
			"scope: nobody is logged out."},
		button: "Forget it", bad: true, back: scopesPath, next: address(scopesPath, "done", "deleted"),
		do: func(ctx context.Context, _ *visit) error {
			_, err := c.api.ForgetScope(ctx, &adminapi.ScopeIn{Scope: scope})
			return err
		},
	}, nil
}
