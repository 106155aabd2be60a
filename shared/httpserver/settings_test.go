package httpserver_test

import (
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
)

func TestSettingsValidate(t *testing.T) {
	const (
		listen         = "--listen (HALLPASS_LISTEN)"
		adminListen    = "--admin-listen (HALLPASS_ADMIN_LISTEN)"
		allowedOrigins = "--allowed-origins (HALLPASS_ALLOWED_ORIGINS)"
		trustedProxies = "--trusted-proxies (HALLPASS_TRUSTED_PROXIES)"
	)
	origins := func(list ...string) func(*httpserver.Settings) {
		return func(s *httpserver.Settings) { s.AllowedOrigins = list }
	}
	tests := []struct {
		name   string
		change func(*httpserver.Settings)
		want   string // part of the error; empty: the settings are valid
	}{
		{"defaults", func(*httpserver.Settings) {}, ""},
		{"all interfaces", func(s *httpserver.Settings) { s.Listen = ":8000" }, ""},
		{"IPv6", func(s *httpserver.Settings) { s.Listen = "[::1]:8000" }, ""},
		{"origins", origins("https://app.example", "http://127.0.0.1:5173", "http://[::1]:8080"), ""},
		{"all origins", origins("*"), ""},
		{"proxies", func(s *httpserver.Settings) { s.TrustedProxies = []string{"10.0.0.0/8", "::1"} }, ""},

		{"admin hosts", func(s *httpserver.Settings) { s.AdminHosts = []string{"authserver", "A.example.", "x_1-2.y"} }, ""},

		{"admin host with a port", func(s *httpserver.Settings) { s.AdminHosts = []string{"a:9001"} }, "--admin-hosts (HALLPASS_ADMIN_HOSTS)"},
		{"admin host that is a URL", func(s *httpserver.Settings) { s.AdminHosts = []string{"http://a"} }, "--admin-hosts (HALLPASS_ADMIN_HOSTS)"},
		{"all admin hosts", func(s *httpserver.Settings) { s.AdminHosts = []string{"*"} }, "--admin-hosts (HALLPASS_ADMIN_HOSTS)"},
		{"an empty admin host", func(s *httpserver.Settings) { s.AdminHosts = []string{""} }, "--admin-hosts (HALLPASS_ADMIN_HOSTS)"},
		{"no port", func(s *httpserver.Settings) { s.Listen = "127.0.0.1" }, listen},
		{"a port only", func(s *httpserver.Settings) { s.AdminListen = "9001" }, adminListen},
		{"empty", func(s *httpserver.Settings) { s.Listen = "" }, listen},
		{"a URL", func(s *httpserver.Settings) { s.Listen = "http://127.0.0.1:80" }, listen},
		{"origin with a path", origins("https://app.example/"), allowedOrigins},
		{"origin without a scheme", origins("app.example"), allowedOrigins},
		{"port above 65535", func(s *httpserver.Settings) { s.Listen = ":99999" }, listen},
		{"no number after the colon", func(s *httpserver.Settings) { s.Listen = "127.0.0.1:" }, listen},
		{"a negative port", func(s *httpserver.Settings) { s.AdminListen = "127.0.0.1:-1" }, adminListen},
		{"origin with a wildcard", origins("https://*"), `not "https://*"`},
		{"origin with a wildcard in it", origins("https://*.app.example"), allowedOrigins},
		{"origin with the default port", origins("https://app.example:443"), allowedOrigins},
		{"origin with a colon and no port", origins("https://app.example:"), allowedOrigins},
		{"origin in upper case", origins("https://App.example"), allowedOrigins},
		{"the null origin", origins("null"), allowedOrigins},
		{"origin with a user", origins("https://me@app.example"), allowedOrigins},
		{"the second origin", origins("https://a.example", "file://b"), `not "file://b"`},
		{"proxy by name", func(s *httpserver.Settings) { s.TrustedProxies = []string{"caddy"} }, trustedProxies},
		{"same address", func(s *httpserver.Settings) { s.AdminListen = s.Listen }, "--listen (HALLPASS_LISTEN) and --admin-listen (HALLPASS_ADMIN_LISTEN)"},
		{"same port, all interfaces", func(s *httpserver.Settings) { s.Listen = ":8001" }, "must be two addresses"},
		{"same port, all interfaces, IPv6", func(s *httpserver.Settings) { s.AdminListen = "[::]:8000" }, "must be two addresses"},
		{"same port, two addresses", func(s *httpserver.Settings) { s.AdminListen = "127.0.0.2:8000" }, ""},
		{"two free ports", func(s *httpserver.Settings) { s.Listen, s.AdminListen = "127.0.0.1:0", "127.0.0.1:0" }, ""},
		{"negative delay", func(s *httpserver.Settings) { s.DrainDelay = -1 }, "--drain-delay (HALLPASS_DRAIN_DELAY)"},
		{"negative write timeout", func(s *httpserver.Settings) { s.WriteTimeout = -1 }, "--write-timeout (HALLPASS_WRITE_TIMEOUT)"},
		{"negative connections", func(s *httpserver.Settings) { s.MaxConnections = -1 }, "--max-connections (HALLPASS_MAX_CONNECTIONS)"},
		{"negative stop timeout", func(s *httpserver.Settings) { s.StopTimeout = -1 }, "--stop-timeout (HALLPASS_STOP_TIMEOUT)"},
	}
	for _, tt := range tests {
		settings := httpserver.Settings{Listen: "127.0.0.1:8000", AdminListen: "127.0.0.1:8001"}
		tt.change(&settings)
		err := settings.Validate()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q in it", tt.name, err, tt.want)
		}
	}
}
