package e2e_test

import (
	"net/http"
	"strings"
	"testing"
)

// The tests in the files contract_*_test.go check what clients of the FastAPI tutorial that
// Hallpass grew from rely on. Names that begin with "Different" are where Hallpass deviates
// from it.

// refusedLogin is the body of the response to every wrong password.
const refusedLogin = `{"error":"invalid_grant","error_description":"Incorrect username or password"}`

func TestTokenRequestsThatLogIn(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	john := []string{"username", "john.doe", "password", demoPassword}
	for _, row := range []struct {
		name string
		form []string
	}{
		{"POST /token, form username, password, no client, no grant_type", nil},
		{"the same with grant_type=password", []string{"grant_type", "password"}},
		{"the same with grant_type= empty", []string{"grant_type", ""}},
		{"the same with scope", []string{"scope", "profile"}},
		{"the same with empty scope", []string{"scope", ""}},
		{"the same with client_id", []string{"client_id", "demo"}},
		{"the same with empty client_id and client_secret", []string{"client_id", "", "client_secret", ""}},
		{"the same with unknown fields", []string{"colour", "blue", "n", "1"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := send(t, s.authURL, form(append(row.form, john...)...))
			if got.status != http.StatusOK {
				t.Fatalf("got %d %s, want 200", got.status, got.body)
			}
			if kind := got.text(t, "token_type"); kind != "bearer" {
				t.Errorf("token_type is %q, want bearer in these letters", kind)
			}
			s.callMe(t, got.text(t, "access_token"), "John Doe")
		})
	}
	t.Run("Users: jane.smith / anothersecurepass", func(t *testing.T) {
		s.callMe(t, s.login(t, "jane.smith", "anothersecurepass"), "Jane Smith")
	})
	t.Run("multipart forms are accepted for a password request", func(t *testing.T) {
		got := send(t, s.authURL, multipartLogin("john.doe", demoPassword))
		if got.status != http.StatusOK {
			t.Errorf("got %d %s, want 200", got.status, got.body)
		}
	})
}

// multipartLogin returns a login as a multipart form.
func multipartLogin(username, password string) request {
	const boundary = "boundary"
	part := func(name, value string) string {
		return "--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
	}
	return request{
		method: http.MethodPost, path: "/token",
		header: http.Header{"Content-Type": {"multipart/form-data; boundary=" + boundary}},
		body:   part("username", username) + part("password", password) + "--" + boundary + "--\r\n",
	}
}

func TestTokenRequestsWithWrongPassword(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	for _, row := range []struct{ name, username, password string }{
		{"wrong password", "john.doe", "securepassword1"},
		{"unknown user", "nobody", demoPassword},
		{"other letter case in the username", "John.Doe", demoPassword},
		{"100-byte password", "john.doe", strings.Repeat("p", 100)},
		{
			"100-byte password that begins with the right one", "john.doe",
			demoPassword + strings.Repeat("p", 100-len(demoPassword)),
		},
	} {
		t.Run(row.name+": Incorrect username or password", func(t *testing.T) {
			got := send(t, s.authURL, form("username", row.username, "password", row.password))
			if got.status != http.StatusBadRequest || got.body != refusedLogin {
				t.Errorf("got %d %s, want 400 %s", got.status, got.body, refusedLogin)
			}
		})
	}
}

func TestTokenRequestsThatAreMalformed(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	const login = "username=john.doe&password=securepassword"
	const jsonLogin = `{"username":"john.doe","password":"securepassword"}`
	typed := func(contentType, body string) request {
		header := http.Header{"Content-Type": {contentType}}
		return request{method: http.MethodPost, path: "/token", body: body, header: header}
	}
	query := rawForm("")
	query.path += "?" + login
	for _, row := range []struct {
		name  string
		send  request
		error string
		names string // part of the error_description
	}{
		{"username missing: refused, naming the field", form("password", "p"), "invalid_request", "username"},
		{"username empty: refused, naming the field", form("username", "", "password", "p"), "invalid_request", "username"},
		{"password missing: refused, naming the field", form("username", "u"), "invalid_request", "password"},
		{"password empty: refused, naming the field", form("username", "u", "password", ""), "invalid_request", "password"},
		{"both missing: refused, naming the fields", rawForm(""), "invalid_request", "username and password"},
		{"JSON body: refused", typed("application/json", jsonLogin), "invalid_request", "username"},
		{"text/plain body: refused", typed("text/plain", login), "invalid_request", "username"},
		{"parameters in the query: refused, naming the field", query, "invalid_request", "username"},
		{"Different: repeated parameters are refused", rawForm(login + "&password=other"), "invalid_request", "password"},
		{"Different: an unknown grant_type is refused", rawForm(login + "&grant_type=passwordx"), "unsupported_grant_type", "grant"},
		{"Different: NUL bytes are refused", rawForm("username=john.doe%00&password=p"), "invalid_request", "username"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := send(t, s.authURL, row.send)
			if got.status != http.StatusBadRequest || got.text(t, "error") != row.error {
				t.Errorf("got %d %s, want 400 and the error %s", got.status, got.body, row.error)
			}
			if text := got.text(t, "error_description"); !strings.Contains(text, row.names) {
				t.Errorf("the description %q does not name %q", text, row.names)
			}
		})
	}
}

func TestTokenMethods(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	for _, method := range []string{
		http.MethodGet, http.MethodPut, http.MethodDelete, http.MethodHead, http.MethodOptions,
	} {
		t.Run(method+" /token: 405 with Allow: POST", func(t *testing.T) {
			got := send(t, s.authURL, request{method: method, path: "/token"})
			if got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") != http.MethodPost {
				t.Errorf("got %d, Allow: %q", got.status, got.header.Get("Allow"))
			}
		})
	}
	t.Run("Different: a CORS preflight gets the response of one", func(t *testing.T) {
		got := send(t, s.authURL, request{method: http.MethodOptions, path: "/token", header: http.Header{
			"Origin":                         {s.apiURL},
			"Access-Control-Request-Method":  {http.MethodPost},
			"Access-Control-Request-Headers": {"authorization,content-type,x-requested-with"}, // Swagger UI's
		}})
		if got.status/100 != 2 || got.header.Get("Access-Control-Allow-Origin") != s.apiURL {
			t.Errorf("got %d with %v, want success and the origin allowed", got.status, got.header)
		}
	})
}
