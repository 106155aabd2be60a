package admin

import (
	"slices"
	"strconv"
	"strings"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// compare appends the change from the settings was to the settings is, unless they are equal. Both lists have the same
// names in the same order.
func compare(all []Change, kind, key string, exists bool, was, is []Setting) []Change {
	c := Change{Action: Add, Kind: kind, Key: key}
	if exists {
		c.Action = Alter
	}
	for i, setting := range is {
		if exists {
			setting.Was = was[i].Is
		}
		if setting.Was != setting.Is {
			c.Settings = append(c.Settings, setting)
		}
	}
	if exists && c.Settings == nil {
		return all
	}
	return append(all, c)
}

// settings returns the desired settings of a client whose stored version is was.
func (c DesiredClient) settings(was client.Client) []Setting {
	all := clientSettings(c.Client, c.Secret != "" || c.KeepSecret, c.Public)
	if c.replacesSecret(was) && was.HasSecret() {
		i := slices.IndexFunc(all, func(s Setting) bool { return s.Name == "secret" })
		all[i].Is = "replaced"
	}
	return all
}

// apiSettings returns the settings of an API, for people.
func apiSettings(a resource.API) []Setting {
	return []Setting{
		{Name: "name", Is: a.Name},
		{Name: "scopes", Is: a.Scope.String()},
		flag("any_scope", a.AnyScope),
	}
}

// clientSettings returns the settings of a client, for people, by the names that they have in files.
func clientSettings(c client.Client, hasSecret, public bool) []Setting {
	algorithm := ""
	if c.ID != "" {
		algorithm = c.SignsIDTokensWith()
	}
	return []Setting{
		{Name: "name", Is: c.Name},
		flag("public", public && c.ID != ""),
		flag("secret", hasSecret),
		{Name: "assertion.jwks", Is: c.Assertion.JWKS},
		{Name: "assertion.jwks_uri", Is: c.Assertion.JWKSURI},
		{Name: "assertion.issuer", Is: c.Assertion.Issuer},
		{Name: "assertion.subject", Is: c.Assertion.Subject},
		{Name: "assertion.audience", Is: c.Assertion.Audience},
		{Name: "grant_types", Is: strings.Join(GrantNames(c.Grants), " ")},
		{Name: "scopes", Is: c.Scope.String()},
		{Name: "redirect_uris", Is: strings.Join(c.RedirectURIs, " ")},
		{Name: "post_logout_redirect_uris", Is: strings.Join(c.PostLogoutRedirectURIs, " ")},
		{Name: "backchannel_logout_uri", Is: c.BackchannelLogoutURI},
		flag("introspects", c.Introspects),
		{Name: "introspects_for", Is: strings.Join(c.IntrospectsFor, " ")},
		{Name: "exchange_from", Is: strings.Join(c.ExchangeFrom, " ")},
		{Name: "exchange_to", Is: strings.Join(c.ExchangeTo, " ")},
		flag("first_party", c.FirstParty),
		flag("without_pkce", c.WithoutPKCE),
		flag("require_par", c.RequirePAR),
		flag("require_dpop", c.RequireDPoP),
		flag("require_second_factor", c.RequireSecondFactor),
		flag("admin", c.Admin),
		{Name: "id_token_alg", Is: algorithm},
	}
}

// flag returns a boolean setting. False is empty, like the settings of a record that does not exist.
func flag(name string, is bool) Setting {
	if !is {
		return Setting{Name: name}
	}
	return Setting{Name: name, Is: strconv.FormatBool(is)}
}
