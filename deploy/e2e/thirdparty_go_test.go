package e2e_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// goConfig returns the configuration of a Go client.
func (s *system) goConfig(id, secret string) oauth2.Config {
	return oauth2.Config{
		ClientID: id, ClientSecret: secret, RedirectURL: appURL,
		Endpoint: oauth2.Endpoint{AuthURL: s.authURL + "/authorize", TokenURL: s.authURL + "/token"},
	}
}

// expired returns a copy of a token that the library considers expired.
func expired(token *oauth2.Token) *oauth2.Token {
	old := *token
	old.Expiry = time.Now().Add(-time.Minute)
	return &old
}

// golang.org/x/oauth2 refreshes expired tokens repeatedly, as a public and as a confidential
// client (RFC 6749 section 6, RFC 9700 section 4.14.2).
func TestThirdPartyGoRefresh(t *testing.T) {
	t.Parallel()
	s, secrets := startForThirdParty(t, "HS256")
	for _, config := range []oauth2.Config{s.goConfig("demo", ""), s.goConfig("backend", secrets["backend"])} {
		token, err := config.PasswordCredentialsToken(t.Context(), "john.doe", demoPassword)
		if err != nil {
			t.Fatal(err)
		}
		first := token
		for range 3 {
			before := token
			if token, err = config.TokenSource(t.Context(), expired(before)).Token(); err != nil {
				t.Fatal(err)
			}
			if token.RefreshToken == before.RefreshToken || token.AccessToken == before.AccessToken {
				t.Errorf("%s: a refresh returned a previous token", config.ClientID)
			}
			s.callWith(t, config.Client(context.Background(), token), "John Doe")
		}
		again, err := config.TokenSource(t.Context(), expired(first)).Token()
		if err != nil || again.RefreshToken != token.RefreshToken {
			t.Errorf("%s: refreshing with the first token: error %v, want the current token", config.ClientID, err)
		}
		other := s.goConfig("backend", secrets["backend"])
		if config.ClientID == "backend" {
			other = s.goConfig("demo", "")
		}
		_, err = other.TokenSource(t.Context(), expired(token)).Token()
		checkRetrieveError(t, err, http.StatusBadRequest, "invalid_grant")
		s.callWith(t, config.Client(context.Background(), expired(token)), "John Doe")
	}
}

// golang.org/x/oauth2 gets a code with PKCE while a user logs in and consents, and redeems it
// (RFC 6749 section 4.1, RFC 7636).
func TestThirdPartyGoAuthorizationCode(t *testing.T) {
	t.Parallel()
	s, secrets := startForThirdParty(t, "EdDSA")
	for _, row := range []struct {
		name   string
		config oauth2.Config
		forms  []string // that a new user fills in
		again  []string // that the user fills in the second time
	}{
		{"third-party web application", s.goConfig("web", secrets["web"]), []string{"/login", "/consent"}, nil},
		// Another program can pretend to be it (RFC 8252 section 8.6).
		{"first-party native app", s.goConfig("native", ""), []string{"/login", "/consent"}, []string{"/consent"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			john := newPerson(t, "john.doe", demoPassword)
			verifier := oauth2.GenerateVerifier()
			code := s.goAuthorize(t, john, row.config, "allow", verifier).Get("code")
			if diff := cmp.Diff(row.forms, john.forms); diff != "" {
				t.Errorf("forms that were filled in (-want +got):\n%s", diff)
			}
			_, err := row.config.Exchange(t.Context(), code, oauth2.VerifierOption(oauth2.GenerateVerifier()))
			checkRetrieveError(t, err, http.StatusBadRequest, "invalid_grant")
			token, err := row.config.Exchange(t.Context(), code, oauth2.VerifierOption(verifier))
			if err != nil {
				t.Fatal(err)
			}
			s.callWith(t, row.config.Client(context.Background(), token), "John Doe")
			s.callWith(t, row.config.Client(context.Background(), expired(token)), "John Doe")

			again := s.goAuthorize(t, john, row.config, "allow", verifier) // the user is logged in
			if !slices.Equal(john.forms, slices.Concat(row.forms, row.again)) || !again.Has("code") {
				t.Errorf("the second time: %v after the forms %q", again, john.forms)
			}
		})
	}
	t.Run("denied", func(t *testing.T) {
		jane := newPerson(t, "jane.smith", "anothersecurepass")
		got := s.goAuthorize(t, jane, s.goConfig("web", secrets["web"]), "deny", oauth2.GenerateVerifier())
		if got.Get("error") != "access_denied" || got.Has("code") {
			t.Errorf("got %v, want access_denied", got)
		}
	})
}

// goAuthorize opens an authorization request in a person's browser and returns the query of the
// callback, which must have the state and the issuer.
func (s *system) goAuthorize(
	t *testing.T, p *person, config oauth2.Config, decision, verifier string, more ...oauth2.AuthCodeOption,
) url.Values {
	t.Helper()
	const state = "a state with & and ="
	more = append(more, oauth2.S256ChallengeOption(verifier))
	back, err := url.Parse(p.visit(config.AuthCodeURL(state, more...), config.RedirectURL, decision))
	if err != nil {
		t.Fatal(err)
	}
	callback := back.Query()
	if callback.Get("state") != state || callback.Get("iss") != s.authURL {
		t.Errorf("the response has state %q and iss %q", callback.Get("state"), callback.Get("iss"))
	}
	return callback
}

// golang.org/x/oauth2/clientcredentials works with each way to send the secret (RFC 6749
// section 4.4).
func TestThirdPartyGoClientCredentials(t *testing.T) {
	t.Parallel()
	s, secrets := startForThirdParty(t, "HS256")
	styles := []oauth2.AuthStyle{oauth2.AuthStyleAutoDetect, oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams}
	for _, style := range styles {
		config := clientcredentials.Config{
			ClientID: "service", ClientSecret: secrets["service"], TokenURL: s.authURL + "/token",
			Scopes: []string{"items:read"}, AuthStyle: style,
		}
		token, err := config.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if token.RefreshToken != "" {
			t.Error("a service got a refresh token")
		}
		resp, err := config.Client(t.Context()).Get(s.apiURL + "/items/42")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("GET /items/42: %d", resp.StatusCode)
		}
		config.ClientSecret = "wrong"
		_, err = config.Token(t.Context())
		checkRetrieveError(t, err, http.StatusUnauthorized, "invalid_client")
	}
}

// prompt and max_age decide which pages the user sees.
func TestThirdPartyGoPrompts(t *testing.T) {
	t.Parallel()
	s, secrets := startForThirdParty(t, "HS256")
	john := newPerson(t, "john.doe", demoPassword)
	s.admin(t, "", "client", "add", "own", "--grant", "authorization_code", "--public", "--first-party",
		"--redirect-uri", "https://own.example/callback", "--scope", "profile items:read")
	native, web, own := s.goConfig("native", ""), s.goConfig("web", secrets["web"]), s.goConfig("own", "")
	own.RedirectURL = "https://own.example/callback"
	set := oauth2.SetAuthURLParam
	for _, row := range []struct {
		name    string
		config  oauth2.Config
		options []oauth2.AuthCodeOption
		forms   []string
		err     string
	}{
		{"prompt=none, nobody logged in", native, []oauth2.AuthCodeOption{set("prompt", "none")}, nil, "login_required"},
		{"login", own, nil, []string{"/login"}, ""},
		{"logged in", own, nil, nil, ""},
		{"prompt=none, logged in", own, []oauth2.AuthCodeOption{set("prompt", "none")}, nil, ""},
		{"prompt=login", own, []oauth2.AuthCodeOption{set("prompt", "login")}, []string{"/login"}, ""},
		{"max_age=0", own, []oauth2.AuthCodeOption{set("max_age", "0")}, []string{"/login"}, ""},
		{"max_age of an hour", own, []oauth2.AuthCodeOption{set("max_age", "3600")}, nil, ""},
		{"native app", native, nil, []string{"/consent"}, ""},
		{"native app, the next time", native, nil, []string{"/consent"}, ""},
		{"native app, prompt=none", native, []oauth2.AuthCodeOption{set("prompt", "none")}, nil, "consent_required"},
		{
			"native app, prompt=login", native,
			[]oauth2.AuthCodeOption{set("prompt", "login")}, []string{"/login", "/consent"}, "",
		},
		{"prompt=none, no consent yet", web, []oauth2.AuthCodeOption{set("prompt", "none")}, nil, "consent_required"},
		{"consent", web, nil, []string{"/consent"}, ""},
		{"prompt=consent", web, []oauth2.AuthCodeOption{set("prompt", "consent")}, []string{"/consent"}, ""},
		{
			"prompt=login consent", web,
			[]oauth2.AuthCodeOption{set("prompt", "login consent")}, []string{"/login", "/consent"}, "",
		},
		{
			"prompt=consent and max_age=0", web,
			[]oauth2.AuthCodeOption{set("prompt", "consent"), set("max_age", "0")}, []string{"/login", "/consent"}, "",
		},
	} {
		john.forms = nil
		callback := s.goAuthorize(t, john, row.config, "allow", oauth2.GenerateVerifier(), row.options...)
		if callback.Get("error") != row.err || callback.Has("code") != (row.err == "") {
			t.Errorf("%s: the response is %v, want the error %q", row.name, callback, row.err)
		}
		if diff := cmp.Diff(row.forms, john.forms); diff != "" {
			t.Errorf("%s: forms that were filled in (-want +got):\n%s", row.name, diff)
		}
	}
}

// Every kind of redirect URI works: with a port that the system chose (RFC 8252 section 7.3),
// with a private scheme (RFC 8252 section 7.1), and with a query (RFC 6749 section 3.1.2).
func TestThirdPartyGoRedirectURIs(t *testing.T) {
	t.Parallel()
	s, _ := startForThirdParty(t, "HS256")
	john := newPerson(t, "john.doe", demoPassword)
	for i, row := range []struct{ registered, used string }{
		{"http://127.0.0.1/callback", "http://127.0.0.1:51004/callback"},
		{"http://[::1]/callback", "http://[::1]:51004/callback"},
		{"com.example.app:/oauth/callback", "com.example.app:/oauth/callback"},
		{"https://app.example/callback?tenant=a%26b", "https://app.example/callback?tenant=a%26b"},
	} {
		id := "app" + strconv.Itoa(i)
		s.admin(t, "", "client", "add", id, "--grant", "authorization_code", "--public", "--first-party",
			"--redirect-uri", row.registered, "--scope", "profile")
		config, verifier := s.goConfig(id, ""), oauth2.GenerateVerifier()
		config.RedirectURL = row.used
		callback := s.goAuthorize(t, john, config, "allow", verifier)
		if strings.Contains(row.used, "tenant") && callback.Get("tenant") != "a&b" {
			t.Errorf("%s: the response lacks the query of the redirect URI: %v", row.used, callback)
		}
		token, err := config.Exchange(t.Context(), callback.Get("code"), oauth2.VerifierOption(verifier))
		if err != nil {
			t.Errorf("%s: %v", row.used, err)
			continue
		}
		s.callWith(t, config.Client(context.Background(), token), "John Doe")
	}
}
