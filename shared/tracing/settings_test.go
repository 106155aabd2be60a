package tracing_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/tracing"
)

// variables are those of OpenTelemetry that decide where traces are sent.
var variables = []string{
	"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL",
	"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED", "OTEL_RESOURCE_ATTRIBUTES",
}

// Traces are sent where the setting says, or else the variables of OpenTelemetry.
func TestOpen(t *testing.T) {
	const setting = "--otlp-endpoint (HALLPASS_OTLP_ENDPOINT)"
	for name, tt := range map[string]struct {
		setting   string
		variables map[string]string
		to        string // empty: nothing is traced
		problem   string
	}{
		"nothing is set":      {},
		"the setting":         {setting: "http://collector:4318", to: "http://collector:4318/v1/traces"},
		"a slash at the end":  {setting: "http://collector:4318/", to: "http://collector:4318/v1/traces"},
		"a path":              {setting: "https://collector/otlp", to: "https://collector/otlp/v1/traces"},
		"the variable":        {variables: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318"}, to: "http://a:4318/v1/traces"},
		"variable for traces": {variables: map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://a/x"}, to: "http://a/x"},
		"the special variable wins": {variables: map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://b/x",
		}, to: "http://b/x"},
		"the setting wins": {
			setting: "http://c", variables: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a"}, to: "http://c/v1/traces",
		},
		"disabled": {setting: "http://c", variables: map[string]string{"OTEL_SDK_DISABLED": "true"}},
		"none":     {setting: "http://c", variables: map[string]string{"OTEL_TRACES_EXPORTER": "none"}},
		"known protocol": {
			setting: "http://c", variables: map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, to: "http://c/v1/traces",
		},
		"another protocol": {
			setting: "http://c", variables: map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
			problem: `OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf, not "grpc"`,
		},
		"no URL":             {setting: "collector:4318", problem: setting + " must be a URL"},
		"no host":            {setting: "http://:4318", problem: setting + " must be a URL"},
		"another scheme":     {setting: "grpc://collector:4318", problem: setting + " must be a URL"},
		"port of gRPC":       {setting: "http://collector:4317", problem: setting + " has the port of OTLP over gRPC"},
		"password":           {setting: "http://me:hunter2@collector", problem: setting + " must have no user and password"},
		"query":              {setting: "http://collector?key=hunter2", problem: setting + " must have no query"},
		"wrong variable":     {variables: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "a"}, problem: "OTEL_EXPORTER_OTLP_ENDPOINT must be a URL"},
		"wrong for traces":   {variables: map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "a"}, problem: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT must be a URL"},
		"resource, no value": {setting: "http://c", variables: map[string]string{"OTEL_RESOURCE_ATTRIBUTES": "a"}, problem: "OTEL_RESOURCE_ATTRIBUTES"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, variable := range variables {
				t.Setenv(variable, tt.variables[variable])
			}
			var log strings.Builder
			settings := tracing.Settings{OTLPEndpoint: tt.setting}
			tracer, err := tracing.Open(t.Context(), settings, tracing.Config{
				Service: "test", Version: "v1", Log: slog.New(slog.NewTextHandler(&log, nil)),
			})
			switch {
			case tt.problem != "":
				if err == nil || !strings.Contains(err.Error(), tt.problem) || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("error %v, want %q", err, tt.problem)
				}
			case err != nil || (tracer != nil) != (tt.to != ""):
				t.Errorf("tracer %v, error %v", tracer, err)
			case tracer != nil && !strings.Contains(log.String(), "to="+tt.to+"\n"):
				t.Errorf("it sends elsewhere, want %s: %s", tt.to, &log)
			}
			if tracer != nil {
				if err := tracer.Close(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
