package humaapi

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// SecurityScheme is the name of the security scheme in OpenAPI documents.
const SecurityScheme = "oauth2"

// Description says what an OpenAPI document begins with.
type Description struct {
	// Title and Version are those of the API.
	Title, Version string
	// Security says how a client gets a token.
	Security *huma.SecurityScheme
	// Example is the example of a FieldError.
	Example FieldError
}

// NewOpenAPI returns an OpenAPI document without operations.
func NewOpenAPI(d Description) *huma.OpenAPI {
	schemas := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	field := schemas.SchemaFromRef(schemas.Schema(reflect.TypeFor[FieldError](), true, "").Ref)
	field.Properties["field"].Examples = []any{d.Example.Field}
	field.Properties["message"].Examples = []any{d.Example.Message}
	return &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title:   d.Title,
			Version: d.Version,
			License: &huma.License{Name: "MIT", Identifier: "MIT"},
		},
		Servers: []*huma.Server{{URL: "/", Description: "This server"}},
		Components: &huma.Components{
			Schemas:         schemas,
			SecuritySchemes: map[string]*huma.SecurityScheme{SecurityScheme: d.Security},
		},
	}
}
