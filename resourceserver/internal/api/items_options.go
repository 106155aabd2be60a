package api

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// The options of operations on items: limits, and the responses that a client must expect.

// maxItemBody limits the body of a request, in bytes.
const maxItemBody = 64 << 10

// fails adds error responses to an operation.
func fails(op *huma.Operation, statuses ...int) { op.Errors = append(op.Errors, statuses...) }

// responds adds a response to an operation.
func responds(op *huma.Operation, status string, response *huma.Response) {
	if op.Responses == nil {
		op.Responses = map[string]*huma.Response{}
	}
	op.Responses[status] = response
}

// reads is for reading an item.
func reads(op *huma.Operation) {
	responds(op, "304", &huma.Response{Description: http.StatusText(http.StatusNotModified)})
	fails(op, http.StatusPreconditionFailed)
}

// deletes is for deleting an item.
func deletes(op *huma.Operation) { fails(op, http.StatusPreconditionFailed) }

// writes is for writing an item.
func writes(op *huma.Operation) {
	op.MaxBodyBytes = maxItemBody
	fails(op, http.StatusPreconditionFailed, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
}

// patches is for changing fields of an item.
func patches(op *huma.Operation) {
	writes(op)
	op.Middlewares = append(op.Middlewares, onlyMergePatch)
}

// mayCreate is for writing an item that may not be written yet.
func mayCreate(op *huma.Operation) {
	responds(op, "201", &huma.Response{
		Description: http.StatusText(http.StatusCreated),
		Content:     map[string]*huma.MediaType{jsonType: {Schema: &huma.Schema{Ref: "#/components/schemas/Item"}}},
		Headers: map[string]*huma.Header{"ETag": {
			Description: "Entity tag of this state of the item", Schema: &huma.Schema{Type: huma.TypeString},
		}},
	})
	fails(op, http.StatusConflict)
}

// creates is for writing a new item.
func creates(op *huma.Operation) {
	op.DefaultStatus = http.StatusCreated
	op.MaxBodyBytes = maxItemBody
	fails(op, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType,
		http.StatusTooManyRequests)
}

// ofAnybody is for an item that must be written.
func ofAnybody(op *huma.Operation) { fails(op, http.StatusNotFound) }
