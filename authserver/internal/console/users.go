package console

import (
	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/adminapi"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// usersTrail leads to the list of users.
var usersTrail = []link{to(usersPath, "Users")}

// listUsers serves GET /admin/users.
func (c *Console) listUsers(v *visit) (page, error) {
	q := v.query("q")
	out, err := c.api.ListUsers(v.ctx(), &adminapi.PageIn{After: v.query("after"), Q: q})
	if err != nil {
		return page{}, err
	}
	t := &table{
		Caption: "Users, by username", Columns: []string{"Username", "Name", "Email", "Groups", "Last login at an app"},
		Empty: "There are no users yet.",
	}
	if q != "" {
		t.Empty = "No username, name or email begins with “" + q + "”."
	}
	for _, u := range out.Body.Items {
		t.Rows = append(t.Rows, []cell{
			userCell(u), text(u.Name), orNone(u.Email), list(u.Groups), atOptional(u.LastLoginAt),
		})
	}
	s := section{
		Search: &search{usersPath, []*field{{
			Kind: "search", Name: "q", Label: "Username, name or email begins with", Value: q, Max: 256,
			Complete: "search",
		}}},
		Links: []link{to(newUserPath, "New user"), to(invitationsPath, "Invite somebody")},
		Table: t,
	}
	s.Next, s.First = paging(v, usersPath, out.Body.Next)
	return page{Title: "Users", Done: done(v), Sections: []section{s}}, nil
}

// userCell returns the first cell of a row about a user.
func userCell(u adminapi.User) cell {
	c := cell{Text: u.Username, Href: address(userPath, "name", u.Username)}
	switch {
	case u.DisabledAt != nil:
		c.Badge, c.Bad = "disabled", true
	case u.Demo:
		c.Badge = "demo"
	}
	return c
}

// paging returns the links to the next and the first page of a list. The parameters of the search stay.
func paging(v *visit, path, cursor string) (next, first string) {
	query := v.r.URL.Query()
	query.Del("done")
	if cursor != "" {
		query.Set("after", cursor)
		next = path + "?" + query.Encode()
	}
	if v.query("after") != "" {
		query.Del("after")
		if first = path; len(query) > 0 {
			first += "?" + query.Encode()
		}
	}
	return next, first
}

// done returns what a page says that has just been done, by the parameter done. A link on another site cannot make it
// say anything else than these texts.
func done(v *visit) string {
	if site := v.r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return ""
	}
	return doneTexts[v.query("done")]
}

// doneTexts are what pages can say that has just been done.
var doneTexts = map[string]string{
	"saved":   "The change was saved.",
	"created": "Created.",
	"promoted": "The change was saved. The user can now administer this server with the second factors below. Make " +
		"sure that they belong to the user. If you are not sure, remove them.",
	"mailed":    "An email with a link to choose a password is on its way.",
	"deleted":   "Deleted.",
	"disabled":  "The user is disabled, and logged out everywhere.",
	"enabled":   "The user can log in again.",
	"unlocked":  "The failed logins were cleared: the user can try again at once.",
	"loggedout": "The user is logged out everywhere.",
	"factors":   "The second factors were removed, and the user is logged out everywhere.",
	"session":   "The session has ended.",
	"grant":     "The login has ended.",
	"consent":   "The app no longer has access.",
	"password":  "The password was set, and the user is logged out everywhere.",
	"invited":   "An email with the invitation is on its way.",
	"withdrawn": "The invitation was withdrawn.",
	"rotated":   "The new key is scheduled.",
	"retried":   "The deliveries will be tried again.",
}

// showNewUser serves GET /admin/users/new.
func (c *Console) showNewUser(*visit) (page, error) {
	return page{Title: "New user", Trail: usersTrail, Sections: []section{{
		Text: []string{"Choose the first password, or let the user choose it with a link in an email."},
		Form: &form{
			Fields: []*field{
				{Kind: kindText, Name: "username", Label: "Username", Required: true, Max: 128, Named: "username",
					Faults: []error{account.ErrBadName, record.ErrExists}},
				{Kind: kindText, Name: "name", Label: "Name", Hint: "Apps and pages show it. Defaults to the username.",
					Max: 128, Named: "name"},
				{Kind: kindEmail, Name: "email", Label: "Email address", Max: 254, Named: "email address"},
				check("verified", "The address is verified", "Somebody has checked that it belongs to the user.", false),
				{Kind: kindText, Name: "groups", Label: "Groups", Hint: "Names with spaces between them."},
				{
					Kind: kindPassword, Name: "password", Label: "Password", Complete: "new-password", Max: 1024,
					Hint:   "Leave it empty to send an email, which needs a verified address.",
					Faults: []error{account.ErrWeakPassword},
				},
			},
			Button: "Add the user", Back: to(usersPath, "Cancel"),
		},
	}}}, nil
}

// addUser serves POST /admin/users/new.
func (c *Console) addUser(v *visit) (page, error) {
	in := adminapi.NewUser{
		Username: v.typed("username"), Name: v.typed("name"), Email: v.typed("email"),
		EmailVerified: v.checked("verified"), Groups: v.words("groups"), Password: v.password(),
	}
	what := "created"
	if in.Password == nil {
		what = "mailed"
	}
	out, err := c.api.CreateUser(v.ctx(), &adminapi.CreateUserIn{Body: in})
	if err != nil {
		return page{}, err
	}
	return goTo(address(userPath, "name", out.Body.Username, "done", what)), nil
}

// listGroups serves GET /admin/groups.
func (c *Console) listGroups(v *visit) (page, error) {
	out, err := c.api.ListGroups(v.ctx(), &struct{}{})
	if err != nil {
		return page{}, err
	}
	t := &table{
		Caption: "Groups, by name", Columns: []string{"Group", "Members"}, Empty: "No user is in a group.",
	}
	for _, g := range out.Body.Items {
		name := cell{Text: g.Name}
		if g.Name == account.AdminGroup {
			name.Badge = "administers this server"
		}
		t.Rows = append(t.Rows, []cell{name, number(g.Members)})
	}
	return page{Title: "Groups", Sections: []section{{
		Text: []string{"A group exists while somebody is in it or invited to it. Put users into groups on their " +
			"own pages; APIs read the groups in tokens."},
		Table: t,
	}}}, nil
}
