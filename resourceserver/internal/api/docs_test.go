package api_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/bearertest"
)

func TestRedocGoesToDocs(t *testing.T) {
	got := start(t, nil).do(t, http.MethodGet, "/redoc")
	if got.StatusCode != http.StatusFound || got.Header.Get("Location") != "/docs" {
		t.Errorf("status %d, Location %q", got.StatusCode, got.Header.Get("Location"))
	}
}

var reference = regexp.MustCompile(`(?:src|href|action|data)\s*=\s*["']?([^"'\s>]+)`)

// All files of the docs page come from this server.
func TestDocsPageIsSelfContained(t *testing.T) {
	s := start(t, nil)
	page := s.do(t, http.MethodGet, "/docs")
	if page.StatusCode != http.StatusOK || page.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("status %d, Content-Type %q", page.StatusCode, page.Header.Get("Content-Type"))
	}
	references := reference.FindAllStringSubmatch(page.body, -1)
	if len(references) < 4 {
		t.Fatalf("found only the references %q", references)
	}
	for _, m := range references {
		if !strings.HasPrefix(m[1], "/docs/") {
			t.Errorf("the page refers to %s", m[1])
			continue
		}
		if got := s.do(t, http.MethodGet, m[1], "Accept-Encoding", "gzip"); got.StatusCode != http.StatusOK ||
			len(got.body) == 0 {
			t.Errorf("%s: status %d, %d bytes", m[1], got.StatusCode, len(got.body))
		}
	}
	for _, scheme := range []string{"https://", "http://"} {
		rest := strings.ReplaceAll(page.body, `startsWith("`+scheme+`")`, "") // the page's script looks for them
		if strings.Contains(rest, scheme) {
			t.Errorf("%s is in the page", scheme)
		}
	}
	for _, setting := range []string{"persistAuthorization: false", "queryConfigEnabled: false", "validatorUrl: null"} {
		if !strings.Contains(page.body, setting) {
			t.Errorf("%s is not in the page", setting)
		}
	}
}

// The policy allows the inline script and style of the page by their hashes, and calls to the issuer (CSP
// Level 3).
func TestDocsPagePolicy(t *testing.T) {
	page := start(t, nil).do(t, http.MethodGet, "/docs")
	policy := map[string][]string{}
	for directive := range strings.SplitSeq(page.Header.Get("Content-Security-Policy"), "; ") {
		fields := strings.Fields(directive)
		policy[fields[0]] = fields[1:]
	}
	for name, want := range map[string][]string{
		"default-src":     {"'none'"},
		"connect-src":     {"'self'", bearertest.IssuerURL},
		"frame-ancestors": {"'none'"},
		"base-uri":        {"'none'"},
		"form-action":     {"'none'"},
	} {
		if !slices.Equal(policy[name], want) {
			t.Errorf("%s is %q", name, policy[name])
		}
	}
	for directive, element := range map[string]string{"script-src": "script", "style-src": "style"} {
		inline := contents(page.body, element)
		if len(inline) == 0 {
			t.Fatalf("no inline %s found", element)
		}
		want := []string{"'self'"}
		for _, text := range inline {
			sum := sha256.Sum256([]byte(text))
			want = append(want, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
		}
		if !slices.Equal(policy[directive], want) {
			t.Errorf("%s is %q, the page needs %q", directive, policy[directive], want)
		}
	}
	if strings.Contains(page.body, " on") && regexp.MustCompile(`<[^>]+\son[a-z]+\s*=`).MatchString(page.body) {
		t.Error("the page has an event handler, which the policy does not allow")
	}
}

// contents returns the contents of the elements without src.
func contents(html, element string) []string {
	var found []string
	for {
		_, rest, ok := strings.Cut(html, "<"+element)
		if !ok {
			return found
		}
		attributes, rest, _ := strings.Cut(rest, ">")
		text, rest, _ := strings.Cut(rest, "</"+element+">")
		if !strings.Contains(attributes, "src=") {
			found = append(found, text)
		}
		html = rest
	}
}
