package tracing

import (
	"context"
	"database/sql/driver"
	"errors"
	"regexp"
	"strings"

	"github.com/XSAM/otelsql"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
)

// SQL returns a function that wraps the connector to a database, so that each statement becomes a span of the trace in
// its context. Without a trace in the context, it is not recorded. A span has the text of the statement, but not the
// values. system is OpenTelemetry's name of the database: postgresql or sqlite.
func (t *Tracer) SQL(system string) func(driver.Connector) driver.Connector {
	return func(c driver.Connector) driver.Connector { return t.connector(c, system) }
}

func (t *Tracer) connector(c driver.Connector, system string) driver.Connector {
	wrapped := otelsql.WrapDriver(oneConnector{c},
		otelsql.WithTracerProvider(t.provider),
		otelsql.WithMeterProvider(noop.NewMeterProvider()), // the pools have metrics of their own
		otelsql.WithAttributes(attribute.String("db.system.name", system)),
		otelsql.WithSpanNameFormatter(func(_ context.Context, method otelsql.Method, query string) string {
			if query == "" {
				return string(method)
			}
			return summary(query)
		}),
		otelsql.WithSpanOptions(otelsql.SpanOptions{
			OmitConnectorConnect: true,
			OmitConnResetSession: true,
			OmitConnPrepare:      true,
			OmitRows:             true,
			DisableErrSkip:       true,
			SpanFilter: func(ctx context.Context, _ otelsql.Method, _ string, _ []driver.NamedValue) bool {
				return trace.SpanContextFromContext(ctx).IsValid()
			},
		}))
	connector, err := wrapped.(driver.DriverContext).OpenConnector("")
	if err != nil {
		return c // oneConnector returns no error
	}
	return connector
}

// oneConnector is a driver that has one connector: otelsql wraps drivers only.
type oneConnector struct{ driver.Connector }

// Open implements driver.Driver. database/sql calls OpenConnector instead.
func (o oneConnector) Open(string) (driver.Conn, error) { return nil, errors.ErrUnsupported }

// OpenConnector implements driver.DriverContext.
func (o oneConnector) OpenConnector(string) (driver.Connector, error) { return o.Connector, nil }

// firstTable finds the first table of a statement.
var firstTable = regexp.MustCompile(`(?i)\b(?:FROM|INTO|UPDATE|TABLE)\s+([a-z_]+)`)

// summary returns the operation and the table of a statement, such as "SELECT grants".
func summary(query string) string {
	verb, _, _ := strings.Cut(strings.TrimSpace(query), " ")
	verb = strings.ToUpper(verb)
	if found := firstTable.FindStringSubmatch(query); found != nil {
		return verb + " " + found[1]
	}
	return verb
}
