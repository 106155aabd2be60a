package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gorilla/mux"

	"github.com/hallpass-auth/hallpass/shared/humaapi"
)

const (
	docsPath    = "/docs"
	openAPIPath = "/openapi.json"
)

// addDocs serves the OpenAPI document and the page that shows the operations, whose Authorize button logs in at the
// issuer.
func addDocs(router *mux.Router, description *huma.OpenAPI, issuer string) error {
	body, err := json.Marshal(description)
	if err != nil {
		return fmt.Errorf("OpenAPI document: %w", err)
	}
	origin, err := url.Parse(issuer)
	if err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	docs := humaapi.Docs{
		Title: description.Info.Title, Path: docsPath, DocumentPath: openAPIPath, Document: body,
		Origin: origin.Scheme + "://" + origin.Host,
	}
	docs.Serve(router)
	humaapi.AddPage(router, "/redoc", http.RedirectHandler(docsPath, http.StatusFound))
	return nil
}
