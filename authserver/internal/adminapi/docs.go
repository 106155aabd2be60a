package adminapi

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gorilla/mux"

	"github.com/hallpass-auth/hallpass/shared/humaapi"
)

const (
	docsPath    = Path + "/docs"
	openAPIPath = Path + "/openapi.json"
)

// newDescription returns an OpenAPI document without operations.
func newDescription(cfg Config) *huma.OpenAPI {
	scopes := map[string]string{adminScope: "Administer this server"}
	return humaapi.NewOpenAPI(humaapi.Description{
		Title:   "Hallpass admin API",
		Version: cfg.Version,
		Security: &huma.SecurityScheme{
			Type: "oauth2",
			Description: "A token of an administrator, or of a service that 'client set --admin' has allowed, for the " +
				"resource " + cfg.Issuer + Path + ". A user's login must have a second factor, and be at most 15 minutes old.",
			Flows: &huma.OAuthFlows{
				AuthorizationCode: &huma.OAuthFlow{
					AuthorizationURL: cfg.Issuer + "/authorize", TokenURL: cfg.Issuer + "/token", Scopes: scopes,
				},
				ClientCredentials: &huma.OAuthFlow{TokenURL: cfg.Issuer + "/token", Scopes: scopes},
			},
		},
		Example: humaapi.FieldError{Field: "body.email", Message: "expected string"},
	})
}

// document returns the OpenAPI document in JSON.
func (a *API) document() ([]byte, error) {
	body, err := json.MarshalIndent(a.openAPI, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("OpenAPI document: %w", err)
	}
	return append(body, '\n'), nil
}

// addDocs serves the OpenAPI document and the page that shows the operations. It sends no requests: administrators
// work in the console, and no page of this origin should ask for their tokens.
func (a *API) addDocs(router *mux.Router) error {
	body, err := a.document()
	if err != nil {
		return err
	}
	docs := humaapi.Docs{Title: a.openAPI.Info.Title, Path: docsPath, DocumentPath: openAPIPath, Document: body}
	docs.Serve(router)
	humaapi.AddPage(router, Path, http.RedirectHandler(docsPath, http.StatusFound))
	return nil
}
