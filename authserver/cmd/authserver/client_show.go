package main

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
)

// shownClient is a client as the commands print it, without the digest of its secret.
type shownClient struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Public      bool   `json:"public"`
	FirstParty  bool   `json:"first_party"`
	Introspects bool   `json:"introspects"`
	// IntrospectsFor has the APIs whose access tokens the client may introspect.
	IntrospectsFor []string          `json:"introspects_for,omitempty"`
	WithoutPKCE    bool              `json:"without_pkce,omitempty"`
	RequirePAR     bool              `json:"require_par,omitempty"`
	RequireDPoP    bool              `json:"require_dpop,omitempty"`
	SecondFactor   bool              `json:"require_second_factor,omitempty"`
	Admin          bool              `json:"admin,omitempty"`
	Kept           bool              `json:"kept,omitempty"`
	ExchangeFrom   []string          `json:"exchange_from,omitempty"`
	ExchangeTo     []string          `json:"exchange_to,omitempty"`
	Grants         []oauth.GrantType `json:"grant_types"`
	RedirectURIs   []string          `json:"redirect_uris,omitempty"`
	IDTokenAlg     string            `json:"id_token_alg,omitempty"` // if the client can have ID tokens

	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty"`
	BackchannelLogoutURI   string   `json:"backchannel_logout_uri,omitempty"`

	Scope string `json:"scope"`
	// Secrets is how many secrets the client can authenticate with.
	Secrets        int             `json:"secrets"`
	OldSecretUntil *time.Time      `json:"old_secret_until,omitempty"`
	Assertion      *shownAssertion `json:"assertion,omitempty"`
	CreatedAt      time.Time       `json:"created_at"`
}

func showClient(c client.Client) shownClient {
	secrets, oldUntil := showSecrets(c, time.Now())
	return shownClient{
		ID:          c.ID,
		Name:        c.Name,
		Public:      c.Public(),
		FirstParty:  c.FirstParty,
		Introspects: c.Introspects,

		IntrospectsFor: c.IntrospectsFor,
		WithoutPKCE:    c.WithoutPKCE,
		RequirePAR:     c.RequirePAR,
		RequireDPoP:    c.RequireDPoP,
		SecondFactor:   c.RequireSecondFactor,
		Admin:          c.Admin,
		Kept:           c.Kept,
		ExchangeFrom:   c.ExchangeFrom,
		ExchangeTo:     c.ExchangeTo,

		Grants:       c.Grants,
		RedirectURIs: c.RedirectURIs,
		Scope:        c.Scope.String(),
		IDTokenAlg:   idTokenAlgorithm(c),

		PostLogoutRedirectURIs: c.PostLogoutRedirectURIs,
		BackchannelLogoutURI:   c.BackchannelLogoutURI,

		Secrets:        secrets,
		OldSecretUntil: oldUntil,
		Assertion:      showAssertion(c.Assertion),

		CreatedAt: c.CreatedAt,
	}
}

// idTokenAlgorithm returns the algorithm of a client's ID tokens; empty for a client that can have none.
func idTokenAlgorithm(c client.Client) string {
	if !c.Allows(oauth.GrantAuthorizationCode) && !c.Allows(oauth.GrantPassword) {
		return ""
	}
	return c.SignsIDTokensWith()
}

// kind returns the client's kind for a table.
func (c shownClient) kind() string {
	kind := "confidential"
	if c.Public {
		kind = "public"
	}
	if c.FirstParty {
		kind += ", first party"
	}
	if c.Introspects {
		kind += ", introspects"
	}
	if c.WithoutPKCE {
		kind += ", without PKCE"
	}
	if c.RequirePAR {
		kind += ", requires PAR"
	}
	if c.RequireDPoP {
		kind += ", requires DPoP"
	}
	if c.SecondFactor {
		kind += ", requires a second factor"
	}
	if c.Admin {
		kind += ", administers the server"
	}
	if c.Kept {
		kind += ", kept when unused"
	}
	if c.OldSecretUntil != nil {
		kind += ", two secrets"
	}
	if c.Assertion != nil {
		kind += ", " + c.Assertion.Method
	}
	return kind
}

// grants returns the client's grant types as the command line has them.
func (c shownClient) grants() string { return strings.Join(admin.GrantNames(c.Grants), " ") }

type clientListCommand struct {
	server.Database `embed:""`
	pageFlags       `embed:""`
}

// Validate checks the flags. kong calls it before Run.
func (c *clientListCommand) Validate() error {
	return cmp.Or(c.Database.Validate(), c.pageFlags.Validate())
}

// Run lists the clients.
func (c *clientListCommand) Run(ctx context.Context, streams program.Streams) error {
	return withAdmin(ctx, c.Database, func(s *admin.Service) error {
		out := newListPrinter(streams.Out, c.JSON, []any{"ID", "NAME", "KIND", "GRANTS", "SCOPE"})
		return printPages(c.pageFlags, out, func(page record.Page) ([]client.Client, error) { return s.Clients(ctx, page) },
			func(registered client.Client) (key string, shown any, row []any) {
				v := showClient(registered)
				return v.ID, v, []any{v.ID, v.Name, v.kind(), v.grants(), v.Scope}
			})
	})
}

type clientShowCommand struct {
	clientTarget `embed:""`
	JSON         bool `help:"Print JSON."`
}

// Run shows the client.
func (c *clientShowCommand) Run(ctx context.Context, streams program.Streams) error {
	err := withAdmin(ctx, c.Database, func(s *admin.Service) error {
		registered, err := s.Client(ctx, c.ID)
		if err != nil {
			return err
		}
		v := showClient(registered)
		if c.JSON {
			return printJSON(streams.Out, v)
		}
		return printTable(streams.Out, []any{"id", v.ID}, [][]any{
			{"name", v.Name},
			{"kind", v.kind()},
			{"authentication", v.authentication()},
			{"grants", v.grants()},
			{"redirect URIs", strings.Join(v.RedirectURIs, " ")},
			{"post-logout redirect URIs", strings.Join(v.PostLogoutRedirectURIs, " ")},
			{"back-channel logout URI", v.BackchannelLogoutURI},
			{"scope", v.Scope},
			{"ID token algorithm", v.IDTokenAlg},
			{"introspects for", strings.Join(v.IntrospectsFor, " ")},
			{"exchanges tokens from", strings.Join(v.ExchangeFrom, " ")},
			{"exchanges tokens to", strings.Join(v.ExchangeTo, " ")},
			{"created", formatTime(&v.CreatedAt)},
		})
	})
	return exitError(c.ID, err)
}
