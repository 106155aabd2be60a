package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"golang.org/x/oauth2"
)

// metadata is what the program uses of the authorization server's metadata (RFC 8414).
type metadata struct {
	Issuer                      string `json:"issuer"`
	TokenEndpoint               string `json:"token_endpoint"`
	DeviceAuthorizationEndpoint string `json:"device_authorization_endpoint"`
	RevocationEndpoint          string `json:"revocation_endpoint"`
}

// discover reads the authorization server's metadata.
func (c *cli) discover(ctx context.Context) (metadata, error) {
	var m metadata
	address := c.issuer + "/.well-known/oauth-authorization-server"
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return m, err
	}
	resp, err := httpClient(ctx).Do(r)
	if err != nil {
		return m, err
	}
	defer func() { _ = resp.Body.Close() }() // nothing is lost: the body was only read
	if resp.StatusCode != http.StatusOK {
		return m, fmt.Errorf("%s responds with %s", address, resp.Status)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxBody)).Decode(&m); err != nil {
		return m, fmt.Errorf("%s: %w", address, err)
	}
	if m.Issuer != c.issuer { // RFC 8414 section 3.3
		return m, fmt.Errorf("%s says that it is of the issuer %q", address, m.Issuer)
	}
	return m, nil
}

// config returns what the library needs to know of the server.
func (c *cli) config(m metadata) *oauth2.Config {
	return &oauth2.Config{
		ClientID: c.clientID,
		Scopes:   strings.Fields(c.scope),
		Endpoint: oauth2.Endpoint{
			TokenURL:      m.TokenEndpoint,
			DeviceAuthURL: m.DeviceAuthorizationEndpoint,
			AuthStyle:     oauth2.AuthStyleInParams, // a public client: it has no secret
		},
	}
}

// login shows the user a code, waits until it is approved, and stores the tokens.
func (c *cli) login(ctx context.Context) error {
	m, err := c.discover(ctx)
	if err != nil {
		return err
	}
	config := c.config(m)
	device, err := config.DeviceAuth(ctx, oauth2.SetAuthURLParam("resource", c.api))
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "Open %s and enter the code %s,\nor open %s\n",
		device.VerificationURI, device.UserCode, device.VerificationURIComplete)
	tokens, err := config.DeviceAccessToken(ctx, device) // polls
	if err != nil {
		return err
	}
	if err := c.file.locked(func() error { return c.file.write(tokens) }); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "You are logged in.")
	return nil
}

// accessToken returns an access token other than the refused one, which may be empty. If the stored one
// cannot be used, one process refreshes it, and the others wait for that and take the new one.
//
// A process that is killed between the refresh and the write leaves the old refresh token. The server
// responds to it with the same successor for a grace period, 10 seconds by default. After that, it takes the
// token for stolen and ends the login.
func (c *cli) accessToken(ctx context.Context, refused string) (string, error) {
	stored, err := c.file.read()
	if err != nil {
		return "", err
	}
	if usable(stored, refused) {
		return stored.AccessToken, nil
	}
	m, err := c.discover(ctx)
	if err != nil {
		return "", err
	}
	err = c.file.locked(func() error {
		stored, err = c.file.read() // another process may have refreshed it
		if err != nil || usable(stored, refused) {
			return err
		}
		refreshed, err := c.refresh(ctx, m, stored)
		if err != nil {
			return err
		}
		stored = refreshed
		return c.file.write(refreshed)
	})
	if err != nil {
		return "", err
	}
	return stored.AccessToken, nil
}

// refresh returns the next tokens.
func (c *cli) refresh(ctx context.Context, m metadata, stored *oauth2.Token) (*oauth2.Token, error) {
	if stored.RefreshToken == "" {
		return nil, errLoggedOut
	}
	// Without an access token, the library refreshes at once.
	next, err := c.config(m).TokenSource(ctx, &oauth2.Token{RefreshToken: stored.RefreshToken}).Token()
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.ErrorCode == "invalid_grant" {
		return nil, errLoggedOut
	}
	return next, err
}

// logout revokes the refresh token, and with it the whole login (RFC 7009), and deletes the file.
func (c *cli) logout(ctx context.Context) error {
	m, err := c.discover(ctx)
	if err != nil {
		return err
	}
	return c.file.locked(func() error {
		stored, err := c.file.read()
		if errors.Is(err, errLoggedOut) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := c.revoke(ctx, m, stored); err != nil {
			return err
		}
		return c.file.remove()
	})
}

// revoke revokes a login at the server.
func (c *cli) revoke(ctx context.Context, m metadata, t *oauth2.Token) error {
	token := t.RefreshToken
	if token == "" {
		token = t.AccessToken
	}
	form := url.Values{"token": {token}, "client_id": {c.clientID}}.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, m.RevocationEndpoint, strings.NewReader(form))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := httpClient(ctx).Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // nothing is lost: the body is not read
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s responds with %s", m.RevocationEndpoint, resp.Status)
	}
	return nil
}
