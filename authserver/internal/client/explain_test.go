package client_test

import (
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
)

// The nearest registered redirect URI is named with the first part that differs.
func TestExplainRedirect(t *testing.T) {
	c := client.Client{RedirectURIs: []string{
		"https://app.example/callback", "https://app.example/silent?a=1", "http://127.0.0.1/cb", "com.example.app:/done",
	}}
	for uri, want := range map[string]string{
		"https://app.example/callback":        "",
		"http://127.0.0.1:4711/cb":            "",
		"http://app.example/callback":         `https://app.example/callback, and its scheme is "https" where that of the request is "http"`,
		"https://app.example/callback/":       `its path is "/callback" where that of the request is "/callback/"`,
		"https://www.app.example/callback":    `its host is "app.example" where that of the request is "www.app.example"`,
		"https://app.example:8443/callback":   `its port is absent where that of the request is "8443"`,
		"https://app.example/silent?a=2":      `https://app.example/silent?a=1, and its query is "a=1" where that of the request is "a=2"`,
		"https://app.example/callback#top":    `its fragment is absent where that of the request is "top"`,
		"http://127.0.0.1:4711/other":         `http://127.0.0.1/cb, and its path is "/cb" where that of the request is "/other"`,
		"com.example.app:/failed":             `com.example.app:/done, and its path is "/done" where that of the request is "/failed"`,
		"https://app.example/%zz":             "that of the request is not a URI",
		"HTTPS://app.example/callback":        "that of the request is written differently",
		"https://app.example/callback?":       "that of the request is written differently",
		"https://app.example/" + long("x"):    `, and more`,
		"http://127.0.0.1:0/cb":               "that of the request is written differently",
		"":                                    `its scheme is "https" where that of the request is absent`,
		"https://app.example/callback?code=1": `its query is absent where that of the request is "code=1"`,
	} {
		got := c.ExplainRedirect(uri)
		if !strings.Contains(got, want) || (want == "") != (got == "") || c.AllowsRedirect(uri) != (got == "") {
			t.Errorf("%q: %q, want %q", uri, got, want)
		}
	}
	if got := (client.Client{}).ExplainRedirect("https://app.example/"); got != "no redirect URI is registered for it" {
		t.Errorf("without any: %q", got)
	}
}

func long(text string) string { return strings.Repeat(text, 5000) }
