package e2e_test

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// traceCollector is a collector of traces: it speaks OTLP over HTTP (https://opentelemetry.io/docs/specs/otlp/).
type traceCollector struct {
	t   *testing.T
	url string

	mu       sync.Mutex
	requests []*collector.ExportTraceServiceRequest
}

func newTraceCollector(t *testing.T) *traceCollector {
	t.Helper()
	c := &traceCollector{t: t}
	server := httptest.NewServer(http.HandlerFunc(c.receive))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func (c *traceCollector) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	request := new(collector.ExportTraceServiceRequest)
	if err == nil {
		err = proto.Unmarshal(body, request)
	}
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/v1/traces" ||
		r.Header.Get("Content-Type") != "application/x-protobuf" {
		c.t.Errorf("the collector got %s %s, %s: %v", r.Method, r.URL, r.Header.Get("Content-Type"), err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	c.requests = append(c.requests, request)
	c.mu.Unlock()
	answer, _ := proto.Marshal(new(collector.ExportTraceServiceResponse))
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(answer)
}

// collectedSpan is a span with the name of the service that has sent it.
type collectedSpan struct {
	*trace.Span
	service string
}

func (s collectedSpan) traceID() string { return hex.EncodeToString(s.TraceId) }
func (s collectedSpan) spanID() string  { return hex.EncodeToString(s.SpanId) }
func (s collectedSpan) parent() string  { return hex.EncodeToString(s.ParentSpanId) }

// attribute returns an attribute that is a text, and "" for another one.
func (s collectedSpan) attribute(name string) string {
	for _, a := range s.Attributes {
		if a.Key == name {
			return a.Value.GetStringValue()
		}
	}
	return ""
}

// outcome returns the status of the response, or the text of the span's error if there was no response.
func (s collectedSpan) outcome() string {
	for _, a := range s.Attributes {
		if a.Key == "http.response.status_code" {
			return strconv.FormatInt(a.Value.GetIntValue(), 10)
		}
	}
	return s.GetStatus().GetMessage()
}

// spans returns the spans of a trace; those of all traces if the id is empty.
func (c *traceCollector) spans(traceID string) (spans []collectedSpan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, request := range c.requests {
		for _, of := range request.ResourceSpans {
			service := ""
			for _, a := range of.Resource.Attributes {
				if a.Key == "service.name" {
					service = a.Value.GetStringValue()
				}
			}
			for _, scope := range of.ScopeSpans {
				for _, s := range scope.Spans {
					if span := (collectedSpan{s, service}); traceID == "" || span.traceID() == traceID {
						spans = append(spans, span)
					}
				}
			}
		}
	}
	return spans
}

// text returns everything that the collector was sent.
func (c *traceCollector) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var text strings.Builder
	for _, request := range c.requests {
		text.WriteString(request.String())
	}
	return text.String()
}

// named returns the spans with this name.
func named(spans []collectedSpan, name string) []collectedSpan {
	return slices.DeleteFunc(slices.Clone(spans), func(s collectedSpan) bool { return s.Name != name })
}
