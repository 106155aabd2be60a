package console

import (
	"strings"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/adminapi"
)

// userIn returns which user the page is about.
func (v *visit) userIn() adminapi.UserIn { return adminapi.UserIn{Username: v.query("name")} }

// userLink returns the address of a page about the user of this page.
func (v *visit) userLink(below string, pairs ...string) string {
	return address(userPath+below, append([]string{"name", v.query("name")}, pairs...)...)
}

// showUser serves GET /admin/user: everything about a user.
func (c *Console) showUser(v *visit) (page, error) {
	in := v.userIn()
	out, err := c.api.GetUser(v.ctx(), &in)
	if err != nil {
		return page{}, err
	}
	p := page{Title: out.Body.Username, Trail: usersTrail, Done: done(v)}
	failures, err := c.api.ListFailures(v.ctx(), &in)
	if err != nil {
		return page{}, err
	}
	p.Sections = []section{aboutUser(v, out.Body.User, failures.Body.Items)}
	if out.Body.Note == adminapi.NoteNoFactor {
		p.Sections = append(p.Sections, section{
			Title: "No second factor", Warning: out.Body.Note,
			Copies: []copyText{{"Command", enrolCommand(out.Body.Username)}},
		})
	}
	p.Sections = append(p.Sections, userForm(out))
	for _, part := range []func(*visit) (section, error){
		c.loginsOf, c.sessionsOf, c.grantsOf, c.consentsOf, c.factorsOf, c.eventsOf,
	} {
		s, err := part(v)
		if err != nil {
			return page{}, err
		}
		p.Sections = append(p.Sections, s)
	}
	return p, nil
}

// aboutUser returns what a user's page begins with.
func aboutUser(v *visit, u adminapi.User, failures []adminapi.Failures) section {
	state := cell{Text: "active"}
	if u.DisabledAt != nil {
		state = cell{Text: "disabled since " + day(*u.DisabledAt)}
	}
	facts := []fact{
		{"Name", text(u.Name)}, {"Email", emailCell(u)}, {"Groups", list(u.Groups)}, {"State", state},
		{"Last login at an app", atOptional(u.LastLoginAt)}, {"Failed logins", failuresCell(failures)}, {"Created",
			at(u.CreatedAt)},
	}
	if u.UpdatedAt != nil {
		facts = append(facts, fact{"Changed", at(*u.UpdatedAt)})
	}
	facts = append(facts, fact{"ID (sub)", code(u.ID)})
	links := []link{to(v.userLink("/password"), "Reset password")}
	if len(failures) > 0 {
		links = append(links, to(v.userLink("/unlock"), "Unlock"))
	}
	if u.DisabledAt == nil {
		links = append(links, to(v.userLink("/disable"), "Disable"))
	} else {
		links = append(links, to(v.userLink("/enable"), "Enable"))
	}
	links = append(links, link{Path: v.userLink("/delete"), Text: "Delete", Bad: true})
	s := section{Facts: facts, Links: links}
	if u.Demo {
		s.Warning = "This user belongs to the demo: everybody knows the password."
	}
	return s
}

func emailCell(u adminapi.User) cell {
	c := orNone(u.Email)
	if u.Email != "" && !u.EmailVerified {
		c.Badge = "not verified"
	}
	return c
}

// failuresCell says how often logins have failed lately.
func failuresCell(failures []adminapi.Failures) cell {
	if len(failures) == 0 {
		return cell{Text: "none lately", Soft: true}
	}
	var texts []string
	for _, f := range failures {
		texts = append(texts, count(f.Count, "wrong "+f.Kind)+", last "+day(f.LastAt))
	}
	return cell{Text: strings.Join(texts, "; "), Badge: "may be slowed down", Bad: true}
}

// userForm returns the form by which a user is changed.
func userForm(out *adminapi.UserOut) section {
	u := out.Body
	return section{Title: "Identity and groups", Form: &form{
		Fields: []*field{
			hidden("etag", out.ETag),
			{Kind: kindText, Name: "name", Label: "Name", Value: u.Name, Required: true, Max: 128, Named: "name"},
			{Kind: kindEmail, Name: "email", Label: "Email address", Value: u.Email, Max: 254, Named: "email address"},
			check("verified", "The address is verified", "Somebody has checked that it belongs to the user.", u.EmailVerified),
			{
				Kind: kindText, Name: "groups", Label: "Groups", Value: strings.Join(u.Groups, " "),
				Hint: "Names with spaces between them. Members of " + account.AdminGroup + " administer this server.",
			},
		},
		Button: "Save",
	}}
}

// changeUser serves POST /admin/user.
func (c *Console) changeUser(v *visit) (page, error) {
	name, email, verified, groups := v.typed("name"), v.typed("email"), v.checked("verified"), all(v.words("groups"))
	verified = verified && email != ""
	out, err := c.api.ChangeUser(v.ctx(), &adminapi.ChangeUserIn{
		ChangedUserIn: adminapi.ChangedUserIn{UserIn: v.userIn(), IfMatch: v.form.Get("etag")},
		Body:          adminapi.UserPatch{Name: &name, Email: &email, EmailVerified: &verified, Groups: &groups},
	})
	if err != nil {
		return page{}, err
	}
	what := "saved"
	if out.Body.Note == adminapi.NoteOwnFactor {
		what = "promoted"
	}
	return goTo(v.userLink("", "done", what)), nil
}

// factorsOf returns the second factors of the user.
func (c *Console) factorsOf(v *visit) (section, error) {
	in := v.userIn()
	out, err := c.api.ListSecondFactors(v.ctx(), &in)
	if err != nil {
		return section{}, err
	}
	s := section{Title: "Second factors", Table: &table{
		Caption: "Second factors", Columns: []string{"Name", "Kind", "Added", "Last used"},
		Empty: "The user has no second factor.",
	}}
	for _, f := range out.Body.Items {
		s.Table.Rows = append(s.Table.Rows, []cell{text(f.Name), text(factorKind(f.Kind)), at(f.CreatedAt),
			atOptional(f.LastUsedAt)})
	}
	if len(out.Body.Items) > 0 {
		s.Text = []string{count(int64(out.Body.RecoveryCodes), "recovery code") + " left."}
		s.Links = []link{to(v.userLink("/second-factors"), "Remove all second factors")}
	}
	return s, nil
}

func factorKind(kind string) string {
	switch kind {
	case "totp":
		return "authenticator app"
	}
	return kind
}

// sessionsOf returns the browsers that the user is logged in with.
func (c *Console) sessionsOf(v *visit) (section, error) {
	in := v.userIn()
	out, err := c.api.ListSessions(v.ctx(), &in)
	if err != nil {
		return section{}, err
	}
	s := section{Title: "Browser sessions", Table: &table{
		Caption: "Browsers that the user is logged in with, newest first",
		Columns: []string{"Browser", "Address", "Login", "Methods", "Expires", "End it"},
		Empty:   "The user is not logged in with any browser.",
	}}
	for _, b := range out.Body.Items {
		s.Table.Rows = append(s.Table.Rows, []cell{
			orUnknown(b.Agent), orUnknown(b.Address), at(b.CreatedAt), list(b.Methods), at(b.ExpiresAt),
			{Act: &act{v.userLink("/session", "id", b.ID), "End", "the session of " + day(b.CreatedAt)}},
		})
	}
	if len(out.Body.Items) > 0 {
		s.Links = []link{to(v.userLink("/logout"), "Log out everywhere")}
	}
	return s, nil
}

func orUnknown(s string) cell {
	if s == "" {
		return cell{Text: "unknown", Soft: true}
	}
	return cell{Text: s}
}

// grantsOf returns the logins of the user at clients.
func (c *Console) grantsOf(v *visit) (section, error) {
	in := v.userIn()
	out, err := c.api.ListGrants(v.ctx(), &in)
	if err != nil {
		return section{}, err
	}
	s := section{Title: "Logins at apps", Table: &table{
		Caption: "Logins of the user at clients, newest first",
		Columns: []string{"App", "API", "Scope", "Login", "From", "End it"},
		Empty:   "The user is not logged in to any app.",
	}}
	for _, g := range out.Body.Items {
		s.Table.Rows = append(s.Table.Rows, []cell{
			clientCell(g.ClientID, g.ClientName), code(g.Audience), code(g.Scope), at(g.CreatedAt),
			orUnknown(strings.TrimSpace(g.Agent + " " + g.Address)),
			{Act: &act{v.userLink("/grant", "number", decimal(g.Number)), "End", "the login at " + g.ClientName}},
		})
	}
	if len(out.Body.Items) > 0 {
		s.Links = []link{to(v.userLink("/logout"), "Log out of all apps and browsers")}
	}
	return s, nil
}

// consentsOf returns what the user has allowed clients.
func (c *Console) consentsOf(v *visit) (section, error) {
	in := v.userIn()
	out, err := c.api.ListConsents(v.ctx(), &in)
	if err != nil {
		return section{}, err
	}
	s := section{Title: "Consents", Table: &table{
		Caption: "What the user has allowed apps to access", Columns: []string{"App", "API", "Scope", "Since", "Revoke"},
		Empty: "The user has not allowed any app access.",
	}}
	for _, k := range out.Body.Items {
		s.Table.Rows = append(s.Table.Rows, []cell{
			clientCell(k.ClientID, ""), code(k.Audience), code(k.Scope), at(k.UpdatedAt),
			{Act: &act{v.userLink("/consent", "client", k.ClientID), "Revoke", "the consent to " + k.ClientID}},
		})
	}
	return s, nil
}
