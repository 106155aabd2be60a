package console

import (
	"net/http"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/adminapi"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
)

// showClient serves GET /admin/client.
func (c *Console) showClient(v *visit) (page, error) {
	in := v.clientIn()
	out, err := c.api.GetClient(v.ctx(), &in)
	if err != nil && adminapi.ProblemOf(err).Status == http.StatusNotFound {
		return missingClientPage(in.ID), nil
	}
	if err != nil {
		return page{}, err
	}
	n, err := c.api.CountClientLogins(v.ctx(), &in)
	if err != nil {
		return page{}, err
	}
	k := out.Body
	about := section{Facts: []fact{
		{"ID", code(k.ID)}, {"Kind", text(clientKind(k.Client))}, {"Grant types", list(k.GrantTypes)},
		{"Logins", number(n.Body.Logins)}, {"Registered", at(k.CreatedAt)},
	}}
	link := func(below, text string) {
		about.Links = append(about.Links, to(address(clientPath+below, "id", k.ID), text))
	}
	if !k.Public {
		link("/secret", "New secret")
	}
	link("/delete", "Delete")
	about.Links[len(about.Links)-1].Bad = true
	return page{Title: k.Name, Trail: clientsTrail, Done: done(v), Sections: []section{
		about, settingsOf(k), clientForm(out),
	}}, nil
}

// missingClientPage is for a client that does not exist, such as a deleted one that the audit log links to.
func missingClientPage(id string) page {
	p := messagePage("There is no such client", "No client has the id “"+id+"”. If there was one, it was deleted.")
	p.Trail, p.status = clientsTrail, http.StatusNotFound
	p.Sections[0].Links = []link{to(address(auditPath, "about", id), "What the audit log says about it")}
	return p
}

// clientForm returns the form by which a client is changed.
func clientForm(out *adminapi.ClientOut) section {
	k := out.Body
	return section{Title: "Change the client", Form: &form{
		Fields: append([]*field{
			hidden("etag", out.ETag),
			{Kind: kindText, Name: "name", Label: "Name", Value: k.Name, Hint: "Users see it when they log in.",
				Required: true, Max: 128, Named: "name"},
			{Kind: kindText, Name: "scope", Label: "Scope", Value: k.Scope, Required: true,
				Hint: "All scopes that it may request.", Faults: []error{oauth.ErrInvalidScope}},
			{Kind: kindText, Name: "grants", Label: "Grant types", Value: strings.Join(k.GrantTypes, " "), Required: true,
				Hint: "Such as " + string(oauth.GrantAuthorizationCode) + " " + string(oauth.GrantRefreshToken) + "."},
			{Kind: kindLines, Name: "redirect_uris", Label: "Redirect URIs", Value: lines(k.RedirectURIs),
				Hint: "One per line."},
			{Kind: kindLines, Name: "post_logout_uris", Label: "Redirect URIs after a logout",
				Value: lines(k.PostLogoutRedirectURIs), Hint: "One per line."},
			{Kind: kindText, Name: "backchannel", Label: "Back-channel logout URI", Value: k.BackchannelLogoutURI,
				Hint: "The client is told there that a session has ended."},
			check("first_party", "It is our own", "Users are not asked for consent.", k.FirstParty),
			check("second_factor", "Users need a second factor", "", k.SecondFactor),
			check("par", "It must push its authorization requests", "RFC 9126", k.RequirePAR),
			check("dpop", "Its tokens are bound to its key by DPoP", "RFC 9449", k.RequireDPoP),
		}, serviceFields(k.Client)...),
		Button: "Save",
	}}
}

// lines returns texts, one a line.
func lines(texts []string) string { return strings.Join(texts, "\n") }

// serviceFields returns the fields about what only a client can do that proves who it is.
func serviceFields(k adminapi.Client) []*field {
	if k.Public {
		return nil
	}
	audiences := func(name, label, hint string, value []string) *field {
		return &field{Kind: kindLines, Name: name, Label: label, Value: lines(value), Hint: hint +
			" One audience per line; “" + client.DefaultAPI + "” is the default API."}
	}
	return []*field{
		audiences("introspects_for", "APIs whose tokens it may introspect", "As these APIs do (RFC 7662).", k.IntrospectsFor),
		audiences("exchange_from", "APIs whose tokens it may exchange", "Those that call it (RFC 8693).", k.ExchangeFrom),
		audiences("exchange_to", "APIs that it may exchange them for", "Those that it calls for its users.", k.ExchangeTo),
		check("admin", "It may administer this server", "Only for a service of yours: it gets tokens of the admin API for "+
			"itself, without a user.", k.Admin),
	}
}

// changeClient serves POST /admin/client.
func (c *Console) changeClient(v *visit) (page, error) {
	name, scope, backchannel := v.typed("name"), strings.Join(v.words("scope"), " "), v.typed("backchannel")
	first, second, par, dpop := v.checked("first_party"), v.checked("second_factor"), v.checked("par"), v.checked("dpop")
	admin := v.checked("admin")
	_, err := c.api.ChangeClient(v.ctx(), &adminapi.ChangeClientIn{
		ChangedClientIn: adminapi.ChangedClientIn{ClientIn: v.clientIn(), IfMatch: v.form.Get("etag")},
		Body: adminapi.ClientPatch{
			Name: &name, Scope: &scope, GrantTypes: all(v.words("grants")), RedirectURIs: all(v.words("redirect_uris")),
			PostLogoutRedirectURIs: all(v.words("post_logout_uris")), BackchannelLogoutURI: &backchannel,
			FirstParty: &first, SecondFactor: &second, RequirePAR: &par, RequireDPoP: &dpop, Admin: &admin,
			IntrospectsFor: all(v.words("introspects_for")), ExchangeFrom: all(v.words("exchange_from")),
			ExchangeTo: all(v.words("exchange_to")),
		},
	})
	return goTo(address(clientPath, "id", v.query("id"), "done", "saved")), err
}

// all returns a list that replaces another one, also if it is empty.
func all(words []string) []string {
	if words == nil {
		return []string{}
	}
	return words
}

// The ways in which a new secret replaces the old one.
const (
	oldEnds   = "end"
	oldDay    = "day"
	oldRevoke = "revoke"
)

// showSecret serves GET /admin/client/secret.
func (c *Console) showSecret(v *visit) (page, error) {
	d, ends, err := c.confirmForClient(v, "Make a new secret?", "", "")
	if err != nil {
		return page{}, err
	}
	in := v.clientIn()
	out, err := c.api.GetClient(v.ctx(), &in)
	if err != nil {
		return page{}, err
	}
	return page{Title: d.title, Trail: d.trail, Sections: []section{{
		Text: []string{"The next page shows the new secret, once. The client needs it in its settings."},
		Form: &form{
			Fields: []*field{hidden("etag", out.ETag), {
				Kind: kindChoice, Name: "old", Label: "The old secret", Value: oldDay, Options: []option{
					{oldDay, "works for one more day: time to change the settings"},
					{oldEnds, "ends now, logins go on"},
					{oldRevoke, "has leaked: ends now, with " + ends + " and all tokens"},
				},
			}},
			Button: "Make a new secret", Bad: true, Back: to(d.back, "Cancel"),
		},
	}}}, nil
}

// rotateSecret serves POST /admin/client/secret.
func (c *Console) rotateSecret(v *visit) (page, error) {
	in := adminapi.RotateSecretIn{}
	in.ClientIn, in.IfMatch = v.clientIn(), v.form.Get("etag")
	switch v.form.Get("old") {
	case oldDay:
		in.Body.KeepOld = int64((24 * time.Hour).Seconds())
	case oldRevoke:
		in.Body.Revoke = true
	}
	out, err := c.api.RotateSecret(v.ctx(), &in)
	if err != nil {
		return page{}, err
	}
	return newSecretPage(out.Body, "The client has a new secret."), nil
}
