package clientmeta_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/clientmeta"
	"github.com/hallpass-auth/hallpass/authserver/internal/outbound"
)

// What a client says about itself gives it no scope, grant type or redirect URI that such clients may not have (RFC
// 7591 section 2).
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		`{"client_id":"https://a.example/c.json","redirect_uris":["http://localhost/cb","cursor://a.b/cb"]}`,
		`{"redirect_uris":["https://a.example/cb","https://a.example/cb"],"scope":"notes:read admin"}`,
		`{"redirect_uris":["javascript:alert(1)"],"redirect_uris":["https://a.example/"]}`,
		`{"redirect_uris":["https://a.example/"],"grant_types":["implicit"],"response_types":["token"]}`,
		`{"Redirect_URIs":["https://a.example/"],"REDIRECT_URIS":[]}`, `{"redirect_uris":null}`, `[]`, `null`, "",
		`{"jwks":{}}`,
		`{"redirect_uris":["https://a.example/"],"scope":"notes:read\u0000"}`, "{\"client_name\":\"\xff\"}",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := clientmeta.Parse([]byte(text))
		if err == nil {
			var c client.Client
			if c, _, err = m.Client("fallback", allowed); err == nil {
				checkClient(t, text, c)
				return
			}
		}
		var refused *oauth.Error
		if !errors.As(err, &refused) || oauth.DescriptionText(refused.Description) != refused.Description {
			t.Errorf("%q: %v", text, err)
		}
	})
}

// checkClient checks the client of metadata that were accepted.
func checkClient(t *testing.T, text string, c client.Client) {
	t.Helper()
	var asked struct {
		RedirectURIs []string `json:"redirect_uris"`
	}
	if err := json.Unmarshal([]byte(text), &asked); err != nil {
		t.Fatalf("%q: accepted: %v", text, err)
	}
	for _, uri := range c.RedirectURIs {
		if client.CheckRedirectURI(uri) != nil || !slices.Contains(asked.RedirectURIs, uri) {
			t.Errorf("%q: redirect URI %q", text, uri)
		}
	}
	for _, scope := range c.Scope {
		if !slices.Contains(allowed, scope) {
			t.Errorf("%q: scope %q", text, scope)
		}
	}
	for _, g := range c.Grants {
		if g != oauth.GrantAuthorizationCode && g != oauth.GrantRefreshToken {
			t.Errorf("%q: grant type %q", text, g)
		}
	}
	if len(c.RedirectURIs) == 0 || c.FirstParty || c.WithoutPKCE || c.Introspects || c.SecretDigest != "" {
		t.Errorf("%q: client %+v", text, c)
	}
}

// A client_id that may be fetched is an https URL of a domain that the policy names, and has one spelling.
func FuzzDocumentID(f *testing.F) {
	for _, id := range []string{
		"https://app.example/client.json", "https://sub.app.example/c", "https://evilapp.example/c", "https://app.example",
		"https://app.example@evil.example/c", "https://app.example:443/c", "https://APP.example/c", "http://app.example/c",
		"https://app.example/a/../c", "https://app.example/%2e%2e/c", "https://app.example/c#f", "https://app.example./c",
		"https://app.example/c?x", "https://app.example\\@evil.example/c", "https://127.0.0.1/c", "",
	} {
		f.Add(id)
	}
	policy, err := clientmeta.ParsePolicy([]string{"app.example", "*.app.example"})
	if err != nil {
		f.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	documents := clientmeta.NewDocuments(policy, outbound.New(outbound.Config{Log: log}), log)
	f.Fuzz(func(t *testing.T, id string) {
		if documents.Check(id) != nil {
			return
		}
		u, err := url.Parse(id)
		if err != nil {
			t.Fatalf("%q: accepted: %v", id, err)
		}
		host := strings.ToLower(u.Hostname())
		if u.Scheme != "https" || u.User != nil || u.Fragment != "" || u.String() != id || u.Path == "" ||
			host != "app.example" && !strings.HasSuffix(host, ".app.example") || !clientmeta.IsDocumentID(id) {
			t.Errorf("%q was accepted", id)
		}
	})
}
