package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"strings"

	"github.com/hallpass-auth/hallpass/deploy/bench/internal/process"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// endpointSettings are those of the authorization server that are not its defaults. A
// login that is refreshed all the time would remember 64 replaced tokens within the
// grace, where one that is refreshed every half hour has one; and the logins that are
// made beforehand, which are not measured, would take long.
var endpointSettings = []string{"--refresh-grace=0s", "--bcrypt-cost=10"}

// service is the client that acts for itself and asks about tokens.
const service = "service"

// authority is a running authorization server, and what it gave beforehand.
type authority struct {
	*server
	database string // its URL
	secret   string // of the service
	logins   []login
}

// Each connection of the generator has a login of its own, and so has each of as many
// workers that run statements, which ends its refresh tokens. One more makes the
// answer for the floor.

func (a *authority) loaded() []login { return a.logins[:connections] }
func (a *authority) set() []login    { return a.logins[connections : 2*connections] }
func (a *authority) model() []login  { return a.logins[2*connections:] }

// login is what a user's login gave.
type login struct {
	access, refresh string
	grant           int64
}

// startAuthority runs an authorization server on the database, registers the service
// and logs in.
func (h *house) startAuthority(ctx context.Context, database string) (a *authority, err error) {
	s, err := h.startServer(authserver, serverCPUs(), append([]string{"--demo", "--database-url", database}, endpointSettings...)...)
	if err != nil {
		return nil, err
	}
	a = &authority{server: s, database: database}
	if err := a.furnish(ctx, h); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return a, nil
}

func (a *authority) furnish(ctx context.Context, h *house) error {
	if err := a.untilReady(ctx); err != nil {
		return err
	}
	secret, err := process.Run(ctx, process.Command{Path: h.program(authserver), Args: []string{
		"client", "add", service, "--grant", "client_credentials", "--scope", "items:read", "--introspects", "--database-url", a.database,
	}})
	if err != nil {
		return err
	}
	a.secret = strings.TrimSpace(string(secret))
	verifier, err := token.NewVerifier(token.VerifierConfig{Keys: h.keys, Issuer: issuer, Audience: audience})
	if err != nil {
		return err
	}
	for range 2*connections + 1 {
		l, err := logIn(ctx, a.address, verifier)
		if err != nil {
			return err
		}
		a.logins = append(a.logins, l)
	}
	return nil
}

// logIn logs the demo user in and refreshes once, so that the grant is like all that
// have been refreshed before.
func logIn(ctx context.Context, address string, verifier *token.Verifier) (l login, err error) {
	request := loginRequest()
	for range 2 {
		a, err := ask(ctx, address, request)
		if err != nil {
			return login{}, err
		}
		var members struct {
			Access  string `json:"access_token"`
			Refresh string `json:"refresh_token"`
		}
		if err := json.Unmarshal(a.Body, &members); err != nil {
			return login{}, err
		}
		l.access, l.refresh = members.Access, members.Refresh
		request = refreshRequest(l.refresh)
	}
	claims, err := verifier.Verify(context.Background(), l.access)
	if err != nil {
		return login{}, err
	}
	if claims.Status == nil {
		return login{}, errors.New("the access token does not say which grant it is of")
	}
	l.grant = claims.Status.Index // in the first list, where a new database begins, the place is the grant's number
	return l, nil
}

func refreshRequest(refresh string) []byte {
	return formRequest("/token", "", url.Values{"grant_type": {"refresh_token"}, "client_id": {demoClient}, "refresh_token": {refresh}})
}

func refreshRequests(_ *authority, logins []login) (requests [][]byte) {
	for _, l := range logins {
		requests = append(requests, refreshRequest(l.refresh))
	}
	return requests
}

func serviceRequests(a *authority, _ []login) [][]byte {
	return [][]byte{formRequest("/token", a.authorization(), url.Values{"grant_type": {"client_credentials"}})}
}

func introspectRequests(a *authority, logins []login) (requests [][]byte) {
	for _, l := range logins {
		requests = append(requests, formRequest("/introspect", a.authorization(), url.Values{"token": {l.access}}))
	}
	return requests
}

// authorization is the header by which the service authenticates.
func (a *authority) authorization() string {
	credentials := url.QueryEscape(service) + ":" + url.QueryEscape(a.secret)
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(credentials)) + "\r\n"
}
