package api

import (
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/hallpass-auth/hallpass/shared/humaapi"
)

// newDescription returns an OpenAPI document without operations. It says how to get a token with the
// scopes.
func newDescription(cfg Config, scopes map[string]string) *huma.OpenAPI {
	return humaapi.NewOpenAPI(humaapi.Description{
		Title:   "Hallpass resource API",
		Version: cfg.Version,
		Security: &huma.SecurityScheme{
			Type:        "oauth2",
			Description: "Log in with username and password; a client id and secret are for clients that have them.",
			Flows: &huma.OAuthFlows{Password: &huma.OAuthFlow{
				TokenURL: cfg.Guard.Issuer() + "/token",
				Scopes:   scopes,
			}},
		},
		Example: humaapi.FieldError{Field: "path.item_id", Message: "invalid integer"},
	})
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
