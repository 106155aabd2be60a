package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// client gets tokens from the authorization server. It authenticates by JWTs that it signs with its own key
// (private_key_jwt, RFC 7523).
type client struct {
	*server
	id   string
	key  ed25519.PrivateKey
	http http.Client
}

// clientFlags adds the flags of a client. The function that it returns reads the key.
func clientFlags(flags *flag.FlagSet, id string) func() (*client, error) {
	c := &client{server: serverFlags(flags), http: http.Client{Timeout: 10 * time.Second}}
	flags.StringVar(&c.id, "client", id, "id of this client")
	path := flags.String("client-key", "", "file with the private key that 'services key' has made")
	return func() (*client, error) {
		key, err := readKey(*path)
		if err != nil {
			return nil, fmt.Errorf("-client-key: %w", err)
		}
		c.key = key
		return c, nil
	}
}

// accessToken is a token and when it expires.
type accessToken struct {
	text    string
	expires time.Time
}

// oauthError is an error response of the token endpoint (RFC 6749 section 5.2).
type oauthError struct {
	status      int
	Code        string `json:"error"`
	Description string `json:"error_description"`
}

func (e *oauthError) Error() string {
	return fmt.Sprintf("the authorization server responds with %d %s: %s", e.status, e.Code, e.Description)
}

// token requests an access token. The error is an *oauthError if the server refuses.
func (c *client) token(ctx context.Context, form url.Values) (accessToken, error) {
	assertion, err := c.assertion()
	if err != nil {
		return accessToken{}, err
	}
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", assertion)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url("/token"), strings.NewReader(form.Encode()))
	if err != nil {
		return accessToken{}, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	sent := time.Now()
	response, err := c.http.Do(request)
	if err != nil {
		return accessToken{}, err
	}
	defer response.Body.Close()
	body := json.NewDecoder(io.LimitReader(response.Body, 64<<10))
	if response.StatusCode != http.StatusOK {
		refused := &oauthError{status: response.StatusCode}
		_ = body.Decode(refused) // the status says enough
		return accessToken{}, refused
	}
	var got struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
	}
	if err := body.Decode(&got); err != nil {
		return accessToken{}, err
	}
	return accessToken{got.AccessToken, sent.Add(time.Duration(got.ExpiresIn) * time.Second)}, nil
}

// assertion returns a JWT by which the client authenticates, once.
func (c *client) assertion() (string, error) {
	now := time.Now()
	assertion := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.RegisteredClaims{
		Issuer: c.id, Subject: c.id, Audience: jwt.ClaimStrings{c.issuer}, ID: rand.Text(),
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(time.Minute)),
	})
	assertion.Header["kid"] = keyID(c.key)
	return assertion.SignedString(c.key)
}

// bearerToken sends a token with a gRPC call.
type bearerToken string

// GetRequestMetadata returns the metadata of a call.
func (t bearerToken) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(t)}, nil
}

// RequireTransportSecurity returns false, because this example runs in a private network. Return true, and use
// TLS, where others can read what is sent.
func (bearerToken) RequireTransportSecurity() bool { return false }
