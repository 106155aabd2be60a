package e2e_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
)

const (
	notAuthenticated = "Not authenticated"
	notValid         = "Could not validate credentials"
)

// checkProblem checks an error of the API: a problem document (RFC 9457) with this detail.
func checkProblem(t *testing.T, got response, status int, detail string) {
	t.Helper()
	if got.status != status {
		t.Fatalf("got %d %s, want %d", got.status, got.body, status)
	}
	if kind := got.header.Get("Content-Type"); kind != "application/problem+json" {
		t.Errorf("Content-Type is %q, want application/problem+json", kind)
	}
	if text := got.text(t, "detail"); text != detail {
		t.Errorf("detail is %q, want %q", text, detail)
	}
}

// checkChallenge checks a 401: its detail, and the error code of its challenge (RFC 6750
// section 3.1). There is no error code if code is empty.
func checkChallenge(t *testing.T, got response, detail, code string) {
	t.Helper()
	checkProblem(t, got, http.StatusUnauthorized, detail)
	challenge := got.header.Get("WWW-Authenticate")
	if !strings.HasPrefix(challenge, "Bearer ") {
		t.Errorf("WWW-Authenticate is %q, want a Bearer challenge", challenge)
	}
	if code == "" && strings.Contains(challenge, "error") || !strings.Contains(challenge, code) {
		t.Errorf("WWW-Authenticate is %q, want the error code %q in it", challenge, code)
	}
}

func TestUsersMe(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	token := s.login(t, "john.doe", demoPassword)
	for _, row := range []struct{ name, authorization string }{
		{"GET /users/me with a valid token: 200", "Bearer " + token},
		{"scheme written bearer: 200", "bearer " + token},
		{"scheme written BEARER: 200", "BEARER " + token},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := send(t, s.apiURL, get("/users/me", row.authorization))
			if want := `{"username":"john.doe","full_name":"John Doe"}`; got.status != http.StatusOK || got.body != want {
				t.Errorf("got %d %s, want 200 %s", got.status, got.body, want)
			}
		})
	}
	for _, row := range []struct {
		name string
		send request
	}{
		{"no header", get("/users/me")},
		{"empty header", get("/users/me", "")},
		{"other scheme", get("/users/me", "Basic am9obi5kb2U6c2VjdXJlcGFzc3dvcmQ=")},
		{"token in the query", get("/users/me?access_token=" + token)},
	} {
		t.Run(row.name+": 401 WWW-Authenticate: Bearer, Not authenticated", func(t *testing.T) {
			checkChallenge(t, send(t, s.apiURL, row.send), notAuthenticated, "")
		})
	}
}

func TestUsersMeWithBadTokens(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	good := s.login(t, "john.doe", demoPassword)
	f := newForger(t, s, good)
	s.callMe(t, f.with(t, nil), "John Doe") // without a change, the token is valid
	key := f.key.Secret()
	otherKey := []byte(strings.Repeat("k", len(key)))

	for _, row := range []struct{ name, token string }{
		{"bad", "garbage"},
		{"bad: the signature cut off", good[:strings.LastIndex(good, ".")+1]},
		{"bad: the signature changed", good[:len(good)-8] + "AAAAAAAA"},
		{"expired", f.with(t, map[string]any{"exp": inMinutes(-1), "iat": inMinutes(-31)})},
		{"alg: none", f.sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, f.claims)},
		{"wrong key", f.sign(t, jwt.SigningMethodHS256, otherKey, f.claims)},
		{"wrong alg: HS512 with the right key", f.sign(t, jwt.SigningMethodHS512, key, f.claims)},
		{"wrong alg: RS256", f.sign(t, jwt.SigningMethodRS256, rsaKey(t), f.claims)},
		{"no sub", f.with(t, map[string]any{"sub": nil})},
		{"unknown user", f.with(t, map[string]any{"sub": "nobody", "preferred_username": nil, "name": nil})},
		{"Different: a token without exp is refused", f.with(t, map[string]any{"exp": nil})},
		{"Different: a token without aud is refused", f.with(t, map[string]any{"aud": nil})},
		{"Different: a token without iss is refused", f.with(t, map[string]any{"iss": nil})},
	} {
		t.Run(row.name+": 401 WWW-Authenticate: Bearer, Could not validate credentials", func(t *testing.T) {
			checkChallenge(t, send(t, s.apiURL, get("/users/me", "Bearer "+row.token)), notValid, "invalid_token")
		})
	}
}

func TestItems(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	bearer := "Bearer " + s.login(t, "john.doe", demoPassword)
	for path, want := range map[string]string{
		"/items/42":   `{"item_id":42,"owner":"john.doe"}`,
		"/items/-42":  `{"item_id":-42,"owner":"john.doe"}`,
		"/items/0":    `{"item_id":0,"owner":"john.doe"}`,
		"/items/007":  `{"item_id":7,"owner":"john.doe"}`,
		"/items/+1":   `{"item_id":1,"owner":"john.doe"}`,
		"/items/%2B1": `{"item_id":1,"owner":"john.doe"}`,
	} {
		t.Run("GET "+path+": 200", func(t *testing.T) {
			got := send(t, s.apiURL, get(path, bearer))
			if got.status != http.StatusOK || got.body != want {
				t.Errorf("got %d %s, want 200 %s", got.status, got.body, want)
			}
		})
	}
	for _, path := range []string{
		"/items/abc", "/items/4.0", "/items/4.5", "/items/1e3", "/items/0x10",
		"/items/9223372036854775808", // Different: an item id outside 64 bits is 422
	} {
		t.Run("GET "+path+": 422", func(t *testing.T) {
			got := send(t, s.apiURL, get(path, bearer))
			if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.text(t, "detail"), "item_id") {
				t.Errorf("got %d %s, want 422 that names item_id", got.status, got.body)
			}
		})
	}
	t.Run("GET /items/abc without a token: 401, authentication comes first", func(t *testing.T) {
		checkChallenge(t, send(t, s.apiURL, get("/items/abc")), notAuthenticated, "")
	})
	for _, path := range []string{"/items/", "/items/42/x", "/", "/nothing"} {
		t.Run("GET "+path+": 404 Not Found", func(t *testing.T) {
			checkProblem(t, send(t, s.apiURL, get(path)), http.StatusNotFound, "Not Found")
			checkProblem(t, send(t, s.apiURL, get(path, bearer)), http.StatusNotFound, "Not Found")
		})
	}
}

func TestDocs(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	t.Run("GET /docs: interactive docs", func(t *testing.T) {
		got := send(t, s.apiURL, get("/docs"))
		if got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
			t.Errorf("got %d of type %q", got.status, got.header.Get("Content-Type"))
		}
	})
	t.Run("GET /redoc: leads to the docs", func(t *testing.T) {
		got := send(t, s.apiURL, get("/redoc"))
		if got.status/100 != 3 || got.header.Get("Location") != "/docs" {
			t.Errorf("got %d to %q", got.status, got.header.Get("Location"))
		}
	})
	t.Run("GET /openapi.json: password flow at the authorization server, declared on each endpoint", func(t *testing.T) {
		checkOpenAPI(t, s, send(t, s.apiURL, get("/openapi.json")).body)
	})
}

// checkOpenAPI checks the token URL of the password flow, and that the endpoints declare it.
func checkOpenAPI(t *testing.T, s *system, body string) {
	t.Helper()
	var document struct {
		Paths map[string]map[string]struct {
			Security []map[string][]string `json:"security"`
		} `json:"paths"`
		Components struct {
			SecuritySchemes map[string]struct {
				Type  string `json:"type"`
				Flows map[string]struct {
					TokenURL string `json:"tokenUrl"`
				} `json:"flows"`
			} `json:"securitySchemes"`
		} `json:"components"`
	}
	if err := json.Unmarshal([]byte(body), &document); err != nil {
		t.Fatal(err)
	}
	scheme := document.Components.SecuritySchemes["oauth2"]
	if got, want := scheme.Flows["password"].TokenURL, s.authURL+"/token"; got != want {
		t.Errorf("the password flow's tokenUrl is %q, want %q", got, want)
	}
	var secured []string
	for _, path := range []string{"/users/me", "/items/{item_id}"} {
		if len(document.Paths[path]["get"].Security) > 0 {
			secured = append(secured, path)
		}
	}
	if diff := cmp.Diff([]string{"/users/me", "/items/{item_id}"}, secured); diff != "" {
		t.Errorf("paths with security declared (-want +got):\n%s", diff)
	}
}
