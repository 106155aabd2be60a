package client

import (
	"fmt"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// checkGrants checks the grant types against the table of grant.Types. The error is ErrBad.
func (c Client) checkGrants() error {
	var refreshable, redirects bool
	for _, name := range c.Grants {
		t, ok := grant.TypeOf(name)
		switch {
		case !ok:
			return fmt.Errorf("%w: there is no grant type %q", ErrBad, name)
		case t.Confidential && c.Public():
			return fmt.Errorf("%w: a public client cannot prove who it is, so it may not use %s", ErrBad, name)
		}
		refreshable = refreshable || t.Refreshable
		redirects = redirects || t.Redirects
	}
	switch {
	case c.Allows(oauth.GrantRefreshToken) && !refreshable:
		return fmt.Errorf("%w: refresh_token needs a grant type that gives a refresh token: %s",
			ErrBad, namesWhere(isRefreshable))
	case c.Allows(oauth.GrantTokenExchange) && (len(c.ExchangeFrom) == 0 || len(c.ExchangeTo) == 0):
		return fmt.Errorf("%w: token_exchange needs an API whose tokens the client may exchange, and one that it may "+
			"exchange them for", ErrBad)
	case !c.Allows(oauth.GrantTokenExchange) && len(c.ExchangeFrom)+len(c.ExchangeTo) > 0:
		return fmt.Errorf("%w: it names APIs for token exchange, but may not use token_exchange", ErrBad)
	case redirects && len(c.RedirectURIs) == 0:
		return fmt.Errorf("%w: %s needs a redirect URI", ErrBad, namesWhere(usesRedirects))
	case !redirects && len(c.RedirectURIs) > 0:
		return fmt.Errorf("%w: only %s uses redirect URIs: leave them out, or add that grant type", ErrBad,
			namesWhere(usesRedirects))
	}
	return nil
}

func isRefreshable(t grant.Type) bool { return t.Refreshable }
func usesRedirects(t grant.Type) bool { return t.Redirects }

// namesWhere lists the grant types for which a condition holds, as a person would.
func namesWhere(holds func(grant.Type) bool) string {
	var names []string
	for _, t := range grant.Types {
		if holds(t) {
			names = append(names, t.String())
		}
	}
	return strings.Join(names, " or ")
}
