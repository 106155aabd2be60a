package e2e_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// demoPassword is the password of the demo user john.doe.
const demoPassword = "securepassword"

// plain is a client that does not follow redirects.
var plain = &http.Client{
	Timeout:       timeout,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// request is an HTTP request. An empty method means GET.
type request struct {
	method string
	path   string
	header http.Header
	body   string
}

// response is an HTTP response.
type response struct {
	status int
	header http.Header
	body   string
}

// send sends r to the server at base.
func send(t *testing.T, base string, r request) response {
	t.Helper()
	got, err := try(t.Context(), base, r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// try is send for goroutines: it returns an error instead of ending the test.
func try(ctx context.Context, base string, r request) (response, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, base+r.path, strings.NewReader(r.body))
	if err != nil {
		return response{}, err
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	resp, err := plain.Do(req)
	if err != nil {
		return response{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return response{status: resp.StatusCode, header: resp.Header, body: string(body)}, err
}

// members returns the members of the body, which must be a JSON object.
func (r response) members(t *testing.T) map[string]any {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal([]byte(r.body), &members); err != nil {
		t.Fatalf("the body is not a JSON object: %v\n%s", err, r.body)
	}
	return members
}

// text returns a member of the body, which must be a string.
func (r response) text(t *testing.T, name string) string {
	t.Helper()
	text, ok := r.members(t)[name].(string)
	if !ok {
		t.Fatalf("the body has no string %q: %s", name, r.body)
	}
	return text
}

// form returns a token request with these fields: names and values in turn.
func form(namesAndValues ...string) request {
	values := url.Values{}
	for i := 0; i < len(namesAndValues); i += 2 {
		values.Add(namesAndValues[i], namesAndValues[i+1])
	}
	return rawForm(values.Encode())
}

// rawForm returns a token request with this body.
func rawForm(body string) request {
	return request{
		method: http.MethodPost, path: "/token", body: body,
		header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
	}
}

// get returns a GET request with these values of the header Authorization.
func get(path string, authorization ...string) request {
	r := request{path: path}
	if len(authorization) > 0 {
		r.header = http.Header{"Authorization": authorization}
	}
	return r
}

// login logs a user in with the password grant and returns the access token.
func (s *system) login(t *testing.T, username, password string) string {
	t.Helper()
	got := send(t, s.authURL, form("username", username, "password", password))
	if got.status != http.StatusOK {
		t.Fatalf("login of %s: %d %s", username, got.status, got.body)
	}
	return got.text(t, "access_token")
}

// callMe calls GET /users/me, whose response must have this full name.
func (s *system) callMe(t *testing.T, accessToken, fullName string) {
	t.Helper()
	got := send(t, s.apiURL, get("/users/me", "Bearer "+accessToken))
	if got.status != http.StatusOK || got.text(t, "full_name") != fullName {
		t.Errorf("GET /users/me: %d %s, want 200 and %s", got.status, got.body, fullName)
	}
}

// inMinutes returns the time n minutes from now as the value of a claim.
func inMinutes(n int) int64 {
	return time.Now().Add(time.Duration(n) * time.Minute).Unix()
}
