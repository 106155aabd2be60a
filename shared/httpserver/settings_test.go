package httpserver_test

import (
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
)

func TestSettingsValidate(t *testing.T) {
	tests := []struct {
		name   string
		change func(*httpserver.Settings)
		says   string // nothing when the settings are good
	}{
		{"the usual", func(*httpserver.Settings) {}, ""},
		{"all interfaces", func(s *httpserver.Settings) { s.Listen = ":8000" }, ""},
		{"IPv6", func(s *httpserver.Settings) { s.Listen = "[::1]:8000" }, ""},
		{"origins", func(s *httpserver.Settings) {
			s.AllowedOrigins = []string{"https://app.example", "http://127.0.0.1:5173", "http://[::1]:8080"}
		}, ""},
		{"all origins", func(s *httpserver.Settings) { s.AllowedOrigins = []string{"*"} }, ""},
		{"proxies", func(s *httpserver.Settings) { s.TrustedProxies = []string{"10.0.0.0/8", "::1"} }, ""},

		{"no port", func(s *httpserver.Settings) { s.Listen = "127.0.0.1" }, "--listen (HALLPASS_LISTEN)"},
		{"a port only", func(s *httpserver.Settings) { s.AdminListen = "9001" }, "--admin-listen (HALLPASS_ADMIN_LISTEN)"},
		{"empty", func(s *httpserver.Settings) { s.Listen = "" }, "--listen (HALLPASS_LISTEN)"},
		{"a URL", func(s *httpserver.Settings) { s.Listen = "http://127.0.0.1:80" }, "--listen (HALLPASS_LISTEN)"},
		{"origin with a path", func(s *httpserver.Settings) { s.AllowedOrigins = []string{"https://app.example/"} }, "--allowed-origins (HALLPASS_ALLOWED_ORIGINS)"},
		{"origin without a scheme", func(s *httpserver.Settings) { s.AllowedOrigins = []string{"app.example"} }, "--allowed-origins (HALLPASS_ALLOWED_ORIGINS)"},
		{"a port of 17 bits", func(s *httpserver.Settings) { s.Listen = ":99999" }, "--listen (HALLPASS_LISTEN)"},
		{"no number after the colon", func(s *httpserver.Settings) { s.Listen = "127.0.0.1:" }, "--listen (HALLPASS_LISTEN)"},
		{"a negative port", func(s *httpserver.Settings) { s.AdminListen = "127.0.0.1:-1" }, "--admin-listen (HALLPASS_ADMIN_LISTEN)"},
		{"origin with a wildcard", func(s *httpserver.Settings) { s.AllowedOrigins = []string{"https://*"} }, `not "https://*"`},
		{"origin with a wildcard in it", func(s *httpserver.Settings) { s.AllowedOrigins = []string{"https://*.app.example"} }, "--allowed-origins (HALLPASS_ALLOWED_ORIGINS)"},
		{"origin with the usual port", func(s *httpserver.Settings) { s.AllowedOrigins = []string{"https://app.example:443"} }, "--allowed-origins (HALLPASS_ALLOWED_ORIGINS)"},
		{"origin with a colon and no port", func(s *httpserver.Settings) { s.AllowedOrigins = []string{"https://app.example:"} }, "--allowed-origins (HALLPASS_ALLOWED_ORIGINS)"},
		{"origin in capitals", func(s *httpserver.Settings) { s.AllowedOrigins = []string{"https://App.example"} }, "--allowed-origins (HALLPASS_ALLOWED_ORIGINS)"},
		{"the null origin", func(s *httpserver.Settings) { s.AllowedOrigins = []string{"null"} }, "--allowed-origins (HALLPASS_ALLOWED_ORIGINS)"},
		{"origin with a user", func(s *httpserver.Settings) { s.AllowedOrigins = []string{"https://me@app.example"} }, "--allowed-origins (HALLPASS_ALLOWED_ORIGINS)"},
		{"the second origin", func(s *httpserver.Settings) { s.AllowedOrigins = []string{"https://a.example", "file://b"} }, `not "file://b"`},
		{"proxy by name", func(s *httpserver.Settings) { s.TrustedProxies = []string{"caddy"} }, "--trusted-proxies (HALLPASS_TRUSTED_PROXIES)"},
		{"one address", func(s *httpserver.Settings) { s.AdminListen = s.Listen }, "--listen (HALLPASS_LISTEN) and --admin-listen (HALLPASS_ADMIN_LISTEN)"},
		{"one among all", func(s *httpserver.Settings) { s.Listen = ":8001" }, "must be two addresses"},
		{"one among all of IPv6", func(s *httpserver.Settings) { s.AdminListen = "[::]:8000" }, "must be two addresses"},
		{"one port of two addresses", func(s *httpserver.Settings) { s.AdminListen = "127.0.0.2:8000" }, ""},
		{"any two ports", func(s *httpserver.Settings) { s.Listen, s.AdminListen = "127.0.0.1:0", "127.0.0.1:0" }, ""},
		{"negative delay", func(s *httpserver.Settings) { s.DrainDelay = -1 }, "--drain-delay (HALLPASS_DRAIN_DELAY)"},
		{"negative timeout", func(s *httpserver.Settings) { s.StopTimeout = -1 }, "--stop-timeout (HALLPASS_STOP_TIMEOUT)"},
	}
	for _, tt := range tests {
		settings := httpserver.Settings{Listen: "127.0.0.1:8000", AdminListen: "127.0.0.1:8001"}
		tt.change(&settings)
		err := settings.Validate()
		if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want an error with %q", tt.name, err, tt.says)
		}
	}
}
