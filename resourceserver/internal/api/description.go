package api

import (
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// newDescription returns an OpenAPI document without operations. It says how to get a token with the
// scopes.
func newDescription(cfg Config, scopes map[string]string) *huma.OpenAPI {
	return &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title:   "Hallpass resource API",
			Version: cfg.Version,
			License: &huma.License{Name: "MIT", Identifier: "MIT"},
		},
		Servers: []*huma.Server{{URL: "/", Description: "This server"}},
		Components: &huma.Components{
			Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
			SecuritySchemes: map[string]*huma.SecurityScheme{securityScheme: {
				Type:        "oauth2",
				Description: "Log in with username and password; a client id and secret are for clients that have them.",
				Flows: &huma.OAuthFlows{Password: &huma.OAuthFlow{
					TokenURL: cfg.Guard.Issuer() + "/token",
					Scopes:   scopes,
				}},
			}},
		},
	}
}

// documentChallenges adds the WWW-Authenticate header to the responses that have one.
func documentChallenges(responses map[string]*huma.Response) {
	for _, status := range []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden} {
		if response := responses[strconv.Itoa(status)]; response != nil {
			response.Headers = map[string]*huma.Header{"WWW-Authenticate": {
				Description: "What is wrong with the token, and where to get one (RFC 6750 section 3, RFC 9728 section 5.1)",
				Schema:      &huma.Schema{Type: huma.TypeString},
			}}
		}
	}
}
