package api

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"sync"

	"github.com/danielgtaylor/huma/v2"
)

const jsonType = "application/json"

// jsonHeader is the Content-Type of answers, shared between them: nobody may change
// it.
var jsonHeader = []string{jsonType}

// writeJSON answers with the JSON form of v. After an error nothing has been
// written.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	e, err := encode(v)
	if err != nil {
		return err
	}
	defer encoders.Put(e)
	w.Header()["Content-Type"] = contentType(v)
	w.WriteHeader(status)
	e.writeTo(w)
	return nil
}

// contentType returns the media type of v: JSON, or the kind of it that v says.
func contentType(v any) []string {
	if f, ok := v.(huma.ContentTypeFilter); ok {
		return []string{f.ContentType(jsonType)}
	}
	return jsonHeader
}

// Marshal writes the JSON form of v: huma's answers look like ours.
func (ops *operations) Marshal(w io.Writer, _ string, v any) error {
	e, err := encode(v)
	if err != nil {
		return err
	}
	defer encoders.Put(e)
	e.writeTo(w)
	return nil
}

// encoder is a JSON encoder and the buffer that it writes to.
type encoder struct {
	bytes.Buffer
	json *json.Encoder
}

var encoders = sync.Pool{New: func() any {
	e := new(encoder)
	e.json = json.NewEncoder(e)
	e.json.SetEscapeHTML(false)
	return e
}}

// encode returns an encoder that holds the JSON form of v, to be put back.
func encode(v any) (*encoder, error) {
	e := encoders.Get().(*encoder)
	e.Reset()
	if err := e.json.Encode(v); err != nil {
		return nil, err
	}
	return e, nil
}

// writeTo writes all at once, so that net/http can set the Content-Length, and
// without the line break that json.Encoder adds.
func (e *encoder) writeTo(w io.Writer) {
	_, _ = w.Write(bytes.TrimSuffix(e.Bytes(), []byte("\n"))) // the client is gone if this fails
}
