package authtest

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// Request says which token a client requests.
type Request struct {
	// Client is the client_id; required.
	Client string
	// User is the username of the user who logs in. Without one, the client gets a token for itself by the client
	// credentials grant.
	User string
	// Scope has scopes, separated by spaces. Without one, the token has all that the client may have.
	Scope string
	// Audience is the API that the token is for; the default API if empty.
	Audience string
}

// Token gets a token by the protocol. The user logs in by the pages of the server and consents, with a browser of
// its own (RFC 6749 section 4.1, RFC 7636). A client that may use the grant refresh_token also gets a refresh token.
func (s *Server) Token(r Request) *oauth2.Token {
	s.t.Helper()
	token, err := s.token(r, s.Config(r.Client))
	s.check("a token for "+r.Client, err)
	return token
}

// Refresh gets a new token by a refresh token (RFC 6749 section 6).
func (s *Server) Refresh(clientID string, token *oauth2.Token) *oauth2.Token {
	s.t.Helper()
	expired := &oauth2.Token{RefreshToken: token.RefreshToken}
	fresh, err := s.Config(clientID).TokenSource(withClient(s.ctx, nil), expired).Token()
	s.check("refreshing the token of "+clientID, err)
	return fresh
}

// Revoke ends the login that a token is from (RFC 7009): the access token and the refresh token of a user, or the
// access token of a service. Guards notice it within about a second.
func (s *Server) Revoke(clientID, token string) {
	s.t.Helper()
	c := s.Config(clientID)
	form := url.Values{"token": {token}}
	if c.ClientSecret == "" {
		form.Set("client_id", clientID)
	}
	request, err := http.NewRequestWithContext(s.ctx, http.MethodPost, s.URL+"/revoke", strings.NewReader(form.Encode()))
	s.check("revoking a token of "+clientID, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if c.ClientSecret != "" {
		request.SetBasicAuth(url.QueryEscape(clientID), url.QueryEscape(c.ClientSecret))
	}
	_, err = read((&http.Client{Timeout: timeout}).Do(request))
	s.check("revoking a token of "+clientID, err)
}

// withClient returns a context with the client that package oauth2 uses; nil means one without cookies.
func withClient(ctx context.Context, client *http.Client) context.Context {
	if client == nil {
		client = &http.Client{Timeout: timeout}
	}
	return context.WithValue(ctx, oauth2.HTTPClient, client)
}

func (s *Server) token(r Request, c *oauth2.Config) (*oauth2.Token, error) {
	c.Scopes = strings.Fields(r.Scope)
	parameters := url.Values{}
	if r.Audience != "" {
		parameters.Set("resource", r.Audience)
	}
	if r.User != "" {
		return s.login(r.User, c, parameters)
	}
	service := clientcredentials.Config{
		ClientID:       c.ClientID,
		ClientSecret:   c.ClientSecret,
		TokenURL:       c.Endpoint.TokenURL,
		AuthStyle:      c.Endpoint.AuthStyle,
		Scopes:         c.Scopes,
		EndpointParams: parameters,
	}
	return service.Token(withClient(s.ctx, nil))
}

// login logs a user in and redeems the code.
func (s *Server) login(username string, c *oauth2.Config, parameters url.Values) (*oauth2.Token, error) {
	s.mu.Lock()
	password, ok := s.passwords[username]
	s.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("no user %s was added", username)
	}
	if c.RedirectURL == "" {
		return nil, errors.New("the client may not log users in: give it the grant authorization_code")
	}
	b, err := newBrowser(c.RedirectURL)
	if err != nil {
		return nil, err
	}
	verifier, state := oauth2.GenerateVerifier(), oauth2.GenerateVerifier()
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(verifier)}
	for name := range parameters {
		options = append(options, oauth2.SetAuthURLParam(name, parameters.Get(name)))
	}
	response, err := b.authorize(s.ctx, c.AuthCodeURL(state, options...), username, password)
	switch {
	case err != nil:
		return nil, err
	case response.Has("error"):
		return nil, fmt.Errorf("%s: %s", response.Get("error"), response.Get("error_description"))
	case response.Get("state") != state:
		return nil, errors.New("the response has another state")
	}
	return c.Exchange(withClient(s.ctx, nil), response.Get("code"), oauth2.VerifierOption(verifier))
}

// browser is the browser of a user who logs in.
type browser struct {
	http.Client
	redirectURI string
}

func newBrowser(redirectURI string) (*browser, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	b := &browser{redirectURI: redirectURI}
	b.Client = http.Client{Timeout: timeout, Jar: jar, CheckRedirect: b.checkRedirect}
	return b, nil
}

// atClientError ends a chain of redirects at the client, with the URL.
type atClientError struct{ url *url.URL }

func (e *atClientError) Error() string { return "redirected to the client" }

// checkRedirect follows redirects within the server.
func (b *browser) checkRedirect(r *http.Request, _ []*http.Request) error {
	if at, _, _ := strings.Cut(r.URL.String(), "?"); at == strings.TrimSuffix(b.redirectURI, "?") {
		return &atClientError{r.URL}
	}
	return nil
}

// maxPages is how many pages a login may have: one for the password, one for consent.
const maxPages = 5

// authorize opens the URL, fills in the forms, and returns the parameters of the authorization response.
func (b *browser) authorize(ctx context.Context, address, username, password string) (url.Values, error) {
	page, err := b.open(ctx, http.MethodGet, address, nil)
	for range maxPages {
		var arrived *atClientError
		if errors.As(err, &arrived) {
			return arrived.url.Query(), nil
		}
		if err != nil {
			return nil, err
		}
		action, values := formOf(page)
		if action == "" {
			return nil, fmt.Errorf("the server shows a page without a form:\n%s", page)
		}
		values.Set("username", username)
		values.Set("password", password)
		values.Set("decision", "allow")
		origin, err2 := url.Parse(address)
		if err2 != nil {
			return nil, err2
		}
		page, err = b.open(ctx, http.MethodPost, origin.Scheme+"://"+origin.Host+action, values)
	}
	return nil, fmt.Errorf("the login does not end:\n%s", page)
}

var (
	formTag   = regexp.MustCompile(`<form method="post" action="([^"]+)"`)
	hiddenTag = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)
)

// formOf returns the path and the hidden fields of the first form of a page.
func formOf(page string) (action string, values url.Values) {
	values = url.Values{}
	found := formTag.FindStringSubmatch(page)
	if found == nil {
		return "", values
	}
	for _, field := range hiddenTag.FindAllStringSubmatch(page, -1) {
		values.Set(field[1], html.UnescapeString(field[2]))
	}
	return html.UnescapeString(found[1]), values
}

// open sends a request and returns the page.
func (b *browser) open(ctx context.Context, method, address string, form url.Values) (string, error) {
	request, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return read(b.Do(request))
}

// read returns the body of a response. A status other than 200 is an error.
func read(response *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s\n%s", response.Request.Method, response.Request.URL.Path, response.Status, body)
	}
	return string(body), err
}
