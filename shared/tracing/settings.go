package tracing

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
)

// Settings are the settings for traces, for kong. Everything else comes from the standard OpenTelemetry variables, such
// as OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER and OTEL_SERVICE_NAME.
type Settings struct {
	OTLPEndpoint string `name:"otlp-endpoint" group:"Traces" env:"HALLPASS_OTLP_ENDPOINT" placeholder:"URL" help:"Collector that gets traces by OTLP over HTTP, like http://127.0.0.1:4318. By default what OTEL_EXPORTER_OTLP_ENDPOINT says; without both, nothing is traced."`
}

// tracesPath is the path for traces below a collector's endpoint.
const tracesPath = "/v1/traces"

// The standard variables that this package reads. The library reads the others.
const (
	varEndpoint       = "OTEL_EXPORTER_OTLP_ENDPOINT"
	varTracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	varProtocol       = "OTEL_EXPORTER_OTLP_PROTOCOL"
	varTracesProtocol = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
	varExporter       = "OTEL_TRACES_EXPORTER"
	varDisabled       = "OTEL_SDK_DISABLED"
)

// protocol is the only supported protocol.
const protocol = "http/protobuf"

// Validate returns an error that names the setting or the variable that is wrong. kong calls it.
func (s Settings) Validate() error {
	_, err := s.endpoint()
	return err
}

// endpoint returns the URL that traces are sent to, or an empty one if tracing is off.
func (s Settings) endpoint() (string, error) {
	if strings.EqualFold(os.Getenv(varDisabled), "true") || os.Getenv(varExporter) == "none" {
		return "", nil
	}
	for _, candidate := range []struct {
		setting, value, path string
	}{
		{"--otlp-endpoint (HALLPASS_OTLP_ENDPOINT)", s.OTLPEndpoint, tracesPath},
		{varTracesEndpoint, os.Getenv(varTracesEndpoint), ""},
		{varEndpoint, os.Getenv(varEndpoint), tracesPath},
	} {
		if candidate.value == "" {
			continue
		}
		if err := checkEndpoint(candidate.value); err != nil {
			return "", fmt.Errorf("%s %w", candidate.setting, err)
		}
		return strings.TrimSuffix(candidate.value, "/") + candidate.path, checkProtocol()
	}
	return "", nil
}

// checkEndpoint returns an error that does not quote the URL, which may hold a password.
func checkEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https"):
		return errors.New("must be a URL like http://127.0.0.1:4318")
	case u.User != nil:
		return errors.New("must have no user and password: set OTEL_EXPORTER_OTLP_HEADERS")
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("must have no query and no fragment")
	case u.Port() == "4317":
		return errors.New("has the port of OTLP over gRPC, and traces are sent over HTTP: collectors have port 4318 for that")
	}
	return nil
}

// checkProtocol returns an error if the protocol is not supported.
func checkProtocol() error {
	for _, name := range []string{varTracesProtocol, varProtocol} {
		if value := os.Getenv(name); value != "" {
			if value != protocol {
				return fmt.Errorf("%s must be %s, not %q", name, protocol, value)
			}
			return nil
		}
	}
	return nil
}
