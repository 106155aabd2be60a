package console

import (
	"cmp"
	"context"
	"crypto/rand"
	"slices"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/adminapi"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// clientsTrail leads to the list of clients.
var clientsTrail = []link{to(clientsPath, "Clients")}

// listClients serves GET /admin/clients.
func (c *Console) listClients(v *visit) (page, error) {
	q := v.query("q")
	out, err := c.api.ListClients(v.ctx(), &adminapi.PageIn{After: v.query("after"), Q: q})
	if err != nil {
		return page{}, err
	}
	t := &table{
		Caption: "Clients, by id", Columns: []string{"Name", "ID", "What it is", "Scope", "Registered"},
		Empty: "No client is registered.",
	}
	if q != "" {
		t.Empty = "No client ID begins with “" + q + "”."
	}
	for _, k := range out.Body.Items {
		t.Rows = append(t.Rows, []cell{
			clientCell(k.ID, k.Name), code(k.ID), text(clientKind(k)), list(strings.Fields(k.Scope)), at(k.CreatedAt),
		})
	}
	s := section{
		Search: &search{clientsPath, []*field{{
			Kind: "search", Name: "q", Label: "ID begins with", Value: q, Max: 256, Complete: "search",
		}}},
		Links: []link{to(newClientPath, "Register a client")},
		Table: t,
	}
	s.Next, s.First = paging(v, clientsPath, out.Body.Next)
	return page{Title: "Clients", Done: done(v), Sections: []section{s}}, nil
}

// clientKind says in a few words what a client is.
func clientKind(k adminapi.Client) string {
	kind := "confidential"
	if k.Public {
		kind = "public"
	}
	if slices.Equal(k.GrantTypes, []string{string(oauth.GrantClientCredentials)}) {
		kind += ", a service"
	}
	if k.FirstParty {
		kind += ", our own"
	}
	if k.Kept {
		kind += ", kept when unused"
	}
	return kind
}

// clientCell returns a link to the page of a client.
func clientCell(id, name string) cell {
	if name == "" {
		name = id
	}
	return cell{Text: name, Href: address(clientPath, "id", id)}
}

// clientType is what an administrator can choose when registering a client. The rest follows.
type clientType struct {
	name, text string
	public     bool
	grants     []oauth.GrantType
}

// withCode are the grant types of a client that users log in to with a browser.
var withCode = []oauth.GrantType{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken}

var clientTypes = []clientType{
	{"web", "A web application with a server", false, withCode},
	{"spa", "A single-page application, which runs in the browser", true, withCode},
	{"native", "A program or a mobile app", true, withCode},
	{"device", "A device without a browser, such as a TV", true,
		[]oauth.GrantType{oauth.GrantDeviceCode, oauth.GrantRefreshToken}},
	{"service", "A service that acts for itself, without a user", false, []oauth.GrantType{oauth.GrantClientCredentials}},
}

// typeNamed returns the type with a name; the first one for an unknown name.
func typeNamed(name string) clientType {
	for _, t := range clientTypes {
		if t.name == name {
			return t
		}
	}
	return clientTypes[0]
}

// showNewClient serves GET /admin/clients/new. The page suggests a random id, so that a form that is sent twice
// registers one client.
func (c *Console) showNewClient(*visit) (page, error) {
	var options []option
	for _, t := range clientTypes {
		options = append(options, option{t.name, t.text})
	}
	return page{Title: "Register a client", Trail: clientsTrail, Sections: []section{{
		Form: &form{
			Fields: []*field{
				{Kind: kindChoice, Name: "type", Label: "What is it?", Options: options, Value: clientTypes[0].name},
				{Kind: kindText, Name: "name", Label: "Name", Hint: "Users see it when they log in.", Required: true, Max: 128,
					Named: "name"},
				{
					Kind: kindText, Name: "id", Label: "Client ID", Required: true, Max: 64,
					Value:  "app-" + strings.ToLower(rand.Text()[:10]),
					Faults: []error{record.ErrExists},
					Hint:   "It is public and cannot be changed. Letters, digits, dots, dashes and underscores.",
				},
				{
					Kind: kindLines, Name: "redirect_uris", Label: "Redirect URIs",
					Hint: "One per line, such as https://app.example/callback. They are compared exactly. Services and devices " +
						"need none.",
				},
				{
					Kind: kindText, Name: "scope", Label: "Scope", Required: true, Faults: []error{oauth.ErrInvalidScope},
					Hint: "All scopes that it may request, with spaces between them, such as openid profile email.",
				},
				check("first_party", "It is our own", "Users are not asked for consent.", false),
			},
			Button: "Register", Back: to(clientsPath, "Cancel"),
		},
	}}}, nil
}

// registerClient serves POST /admin/clients/new. The page that follows has the secret, which cannot be shown again.
func (c *Console) registerClient(v *visit) (page, error) {
	kind := typeNamed(v.typed("type"))
	in := adminapi.RegisterClientIn{}
	in.Body.ID, in.Body.Public = v.typed("id"), kind.public
	in.Body.ClientSettings = adminapi.ClientSettings{
		Name: v.typed("name"), GrantTypes: grantNames(kind.grants), Scope: strings.Join(v.words("scope"), " "),
		RedirectURIs: v.words("redirect_uris"), FirstParty: v.checked("first_party"),
	}
	out, err := c.api.RegisterClient(v.ctx(), &in)
	if err != nil {
		return page{}, err
	}
	return newSecretPage(out.Body, "The client was registered."), nil
}

// newSecretPage returns the page after a client was registered or has a new secret.
func newSecretPage(k adminapi.ClientDetail, done string) page {
	return page{Title: k.Name, Trail: clientsTrail, Done: done, Sections: []section{settingsOf(k), {
		Links: []link{to(address(clientPath, "id", k.ID), "Go to the client's page")},
	}}}
}

func grantNames(grants []oauth.GrantType) (names []string) {
	for _, g := range grants {
		names = append(names, string(g))
	}
	return names
}

// settingsOf returns what the client's side has to set. The secret is there only when it is new.
func settingsOf(k adminapi.ClientDetail) section {
	s := section{Title: "Settings for the client", Facts: []fact{
		{"Issuer", code(k.Connect.Issuer)}, {"Metadata", code(k.Connect.Metadata)},
	}}
	if k.Secret != "" {
		s.Warning = "The secret is shown only once. Copy it now: the server keeps only its digest."
	}
	if k.Connect.AuthorizationEndpoint != "" {
		s.Facts = append(s.Facts, fact{"Authorization endpoint", code(k.Connect.AuthorizationEndpoint)})
	}
	s.Facts = append(s.Facts, fact{"Token endpoint", code(k.Connect.TokenEndpoint)},
		fact{"Authentication", code(k.Connect.Authentication)}, fact{"Client ID", code(k.ID)})
	if k.Secret != "" {
		s.Facts = append(s.Facts, fact{"Client secret", code(k.Secret)})
	}
	if k.Connect.PKCE != "" {
		s.Facts = append(s.Facts, fact{"PKCE", code(k.Connect.PKCE)})
	}
	if len(k.Connect.Resources) > 0 {
		s.Facts = append(s.Facts, fact{"Other APIs (resource)", code(strings.Join(k.Connect.Resources, " "))})
	}
	s.Copies = []copyText{{"As environment variables", variables(k)}}
	if slices.Contains(k.GrantTypes, string(oauth.GrantClientCredentials)) && k.Secrets > 0 {
		s.Copies = append(s.Copies, copyText{"To try it: a token for the service", "curl -sS " + k.Connect.TokenEndpoint +
			" -u " + shellQuote(k.ID+":"+cmp.Or(k.Secret, "SECRET")) + " \\\n  -d grant_type=client_credentials -d scope=" +
			shellQuote(strings.ReplaceAll(k.Scope, " ", "+"))})
	}
	return s
}

// variables returns the settings in the names that many OpenID Connect libraries and programs use.
func variables(k adminapi.ClientDetail) string {
	lines := []string{"OIDC_ISSUER=" + k.Connect.Issuer, "OIDC_CLIENT_ID=" + k.ID}
	switch {
	case k.Secret != "":
		lines = append(lines, "OIDC_CLIENT_SECRET="+k.Secret)
	case k.Secrets > 0:
		lines = append(lines, "OIDC_CLIENT_SECRET=(shown only once, when it was created)")
	}
	for _, uri := range k.Connect.RedirectURIs {
		lines = append(lines, "OIDC_REDIRECT_URI="+uri)
	}
	return strings.Join(append(lines, "OIDC_SCOPE="+k.Scope), "\n")
}

// deletingClient serves /admin/client/delete.
func (c *Console) deletingClient(v *visit) (confirmation, error) {
	d, ends, err := c.confirmForClient(v, "Delete this client?", "Delete the client", "")
	d.says = []string{"This ends " + ends + ". Users can no longer log in to the client, and its tokens end."}
	d.warns, d.next = "This cannot be undone: a client that is registered again gets a new secret.",
		address(clientsPath, "done", "deleted")
	d.do = func(ctx context.Context, v *visit) error {
		_, err := c.api.DeleteClient(ctx, &adminapi.ChangedClientIn{ClientIn: v.clientIn()})
		return err
	}
	return d, err
}

// clientIn returns which client the page is about.
func (v *visit) clientIn() adminapi.ClientIn { return adminapi.ClientIn{ID: v.query("id")} }

// confirmForClient returns a confirmation about the client of the page, which must exist, and how many logins it can
// end.
func (c *Console) confirmForClient(v *visit, title, button, doneKey string) (confirmation, string, error) {
	in := v.clientIn()
	out, err := c.api.GetClient(v.ctx(), &in)
	if err != nil {
		return confirmation{}, "", err
	}
	n, err := c.api.CountClientLogins(v.ctx(), &in)
	if err != nil {
		return confirmation{}, "", err
	}
	back := address(clientPath, "id", in.ID)
	return confirmation{
		title: title, trail: append(clientsTrail[:1:1], to(back, out.Body.Name)),
		button: button, bad: true, back: back, next: address(clientPath, "id", in.ID, "done", doneKey),
	}, count(n.Body.Logins, "login"), nil
}
