package httpserver

import (
	"io"
	"net/http"
)

// recorder is the http.ResponseWriter that handlers get. It notes the status and the size
// of the response, and what the handler says about the request.
//
// It offers what net/http looks for in a writer: Unwrap for http.ResponseController,
// Flush for handlers that assert http.Flusher, ReadFrom for io.Copy. The one method that
// it cannot offer is the unexported requestTooLarge of http.MaxBytesReader: see LimitBody.
type recorder struct {
	http.ResponseWriter
	route    string
	routine  bool
	starting bool // the server has no handler yet
	status   int  // 0: no response yet
	bytes    int64
}

func (rec *recorder) WriteHeader(status int) {
	if rec.status == 0 && status >= http.StatusOK { // an informational response (1xx) precedes the final one
		rec.status = status
	}
	rec.ResponseWriter.WriteHeader(status)
}

// begin notes the status that net/http sends when a handler writes without setting one.
func (rec *recorder) begin() {
	if rec.status == 0 {
		rec.status = http.StatusOK
	}
}

func (rec *recorder) Write(p []byte) (int, error) {
	rec.begin()
	n, err := rec.ResponseWriter.Write(p)
	rec.bytes += int64(n)
	return n, err
}

// ReadFrom lets io.Copy reach the connection, which may copy without a buffer.
func (rec *recorder) ReadFrom(src io.Reader) (int64, error) {
	rec.begin()
	n, err := io.Copy(rec.ResponseWriter, src)
	rec.bytes += n
	return n, err
}

// FlushError sends what is buffered.
func (rec *recorder) FlushError() error {
	rec.begin()
	return http.NewResponseController(rec.ResponseWriter).Flush()
}

// Flush is FlushError for handlers that assert http.Flusher.
func (rec *recorder) Flush() { _ = rec.FlushError() }

// Unwrap returns the writer of net/http, for http.ResponseController.
func (rec *recorder) Unwrap() http.ResponseWriter { return rec.ResponseWriter }

// SetRoute names the route of the request in metrics. The template, not the path, keeps
// the number of series bounded. A router calls it with the writer that it was given; for
// any other writer it does nothing.
func SetRoute(w http.ResponseWriter, template string) {
	if rec := recorderOf(w); rec != nil {
		rec.route = template
	}
}

// SetRoutine marks a request of a kind that arrives all the time, such as a poll. It is
// logged at level DEBUG unless it fails. For a writer of another server it does nothing.
func SetRoutine(w http.ResponseWriter) {
	if rec := recorderOf(w); rec != nil {
		rec.routine = true
	}
}

// LimitBody limits the request's body to n bytes. It does what http.MaxBytesReader does:
// reading more fails with an *http.MaxBytesError, and the connection closes after the
// response.
//
// Handlers must use it in place of http.MaxBytesReader. That one finds the hook that closes
// the connection by asserting an unexported method, which only net/http's own writer
// has. A wrapper cannot forward it, so LimitBody passes the writer inside all wrappers.
func LimitBody(w http.ResponseWriter, r *http.Request, n int64) {
	for {
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		w = wrapper.Unwrap()
	}
	r.Body = http.MaxBytesReader(w, r.Body, n)
}

// recorderOf returns the recorder in w or inside its wrappers, or nil.
func recorderOf(w http.ResponseWriter) *recorder {
	for {
		switch writer := w.(type) {
		case *recorder:
			return writer
		case interface{ Unwrap() http.ResponseWriter }:
			w = writer.Unwrap()
		default:
			return nil
		}
	}
}
