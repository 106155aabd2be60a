// Package server puts the authorization server together from its settings.
package server

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// Defaults are values that the help of commands and settings names; kong reads them as variables.
var Defaults = map[string]string{
	"listen":       "127.0.0.1:9000",
	"admin_listen": "127.0.0.1:9001",
	"issuer":       "http://127.0.0.1:9000",
	"audience":     "http://127.0.0.1:8000",
	"database_url": "sqlite:hallpass.db",

	"grant_types": grantTypes(),

	"bcrypt_cost":      strconv.Itoa(account.DefaultCost),
	"password_workers": strconv.Itoa(min(program.CPUs(), maxWorkers)),
}

// grantTypes lists the grant types, as kong reads and shows them.
func grantTypes() string {
	var names []string
	for _, name := range grant.TypeNames() {
		names = append(names, string(name))
	}
	return strings.Join(names, ", ")
}

// Bounds of settings.
const (
	minLifetime = time.Minute
	maxLifetime = grant.MaxTokenLifetime
	maxGrace    = 5 * time.Minute
	maxWorkers  = 1024
	maxQueue    = 100_000
	minWait     = 100 * time.Millisecond
)

// Settings are the settings of the serve command. kong reads the tags.
type Settings struct {
	HTTP     httpserver.Settings `embed:""`
	Keys     keyring.Settings    `embed:""`
	Database Database            `embed:""`

	Issuer              string        `group:"Tokens" env:"HALLPASS_ISSUER" default:"${issuer}" placeholder:"URL" help:"The server's public URL: iss of its tokens (${default})."`
	Audience            string        `group:"Tokens" env:"HALLPASS_AUDIENCE" default:"${audience}" placeholder:"URL" help:"Identifier of the default API: aud of the tokens that name no other (${default})."`
	AccessTokenLifetime time.Duration `group:"Tokens" env:"HALLPASS_ACCESS_TOKEN_LIFETIME" default:"30m" help:"Lifetime of an access token: 1m to 24h (${default})."`

	RefreshIdle     time.Duration `name:"refresh-idle-lifetime" group:"Tokens" env:"HALLPASS_REFRESH_IDLE_LIFETIME" default:"720h" help:"How long a refresh token is valid if it is not used (${default})."`
	RefreshLifetime time.Duration `group:"Tokens" env:"HALLPASS_REFRESH_LIFETIME" default:"4320h" help:"How long a login lasts however often it is refreshed (${default})."`
	RefreshGrace    time.Duration `group:"Tokens" env:"HALLPASS_REFRESH_GRACE" default:"10s" help:"How long after its use a refresh token still works, and gives the same successor: 0s to 5m (${default})."`

	DefaultClient   string        `group:"Logins" env:"HALLPASS_DEFAULT_CLIENT" placeholder:"ID" help:"Public client assumed when a token request omits client_id. None by default: such a request is refused."`
	BcryptCost      int           `group:"Logins" env:"HALLPASS_BCRYPT_COST" default:"${bcrypt_cost}" help:"Cost of password hashes, 10 to 16; one more doubles the time of a login (${default})."`
	PasswordWorkers int           `group:"Logins" env:"HALLPASS_PASSWORD_WORKERS" default:"${password_workers}" help:"How many passwords are checked at once; by default the number of CPUs that the container may use (${default})."`
	PasswordQueue   int           `group:"Logins" env:"HALLPASS_PASSWORD_QUEUE" default:"64" help:"How many more logins may wait; the next gets 503 with Retry-After (${default})."`
	PasswordWait    time.Duration `group:"Logins" env:"HALLPASS_PASSWORD_WAIT" default:"10s" help:"How long a login waits for its password to be checked; then it gets 503 with Retry-After (${default})."`
	Demo            DemoMode      `group:"Logins" env:"HALLPASS_DEMO" default:"off" placeholder:"MODE" help:"Make two users with well-known passwords and the client demo, which becomes the default client, once, in an empty database. on needs an issuer on this machine; auto is on with such an issuer, else off. The users can log in only while it is on (${default})."`
}

// Validate checks what kong cannot. The error names the setting.
func (s *Settings) Validate() error {
	if err := errors.Join(s.HTTP.Validate(), s.Database.Validate()); err != nil {
		return err
	}
	if err := oauth.ValidateIssuer(s.Issuer); err != nil {
		return fmt.Errorf("--issuer (HALLPASS_ISSUER): %w", err)
	}
	if u, err := url.Parse(s.Issuer); err != nil || u.Path != "" {
		return fmt.Errorf("--issuer (HALLPASS_ISSUER): %q must have no path: the server needs a host of its own, "+
			"because its pages and its metadata are at the root", s.Issuer)
	}
	if err := oauth.ValidateAudience(s.Audience); err != nil {
		return fmt.Errorf("--audience (HALLPASS_AUDIENCE): %w", err)
	}
	if s.Demo == DemoOn && !isLoopback(s.Issuer) {
		return fmt.Errorf("--demo (HALLPASS_DEMO): everybody knows the passwords of the demo, "+
			"and --issuer (HALLPASS_ISSUER) %s is not on this machine: turn the demo off, or set it to auto", s.Issuer)
	}
	return s.checkBounds()
}

// checkBounds checks durations and numbers.
func (s *Settings) checkBounds() error {
	switch {
	case s.AccessTokenLifetime < minLifetime || s.AccessTokenLifetime > maxLifetime:
		return fmt.Errorf("--access-token-lifetime (HALLPASS_ACCESS_TOKEN_LIFETIME) must be from %v to %v, not %v",
			minLifetime, maxLifetime, s.AccessTokenLifetime)
	case s.RefreshIdle < minLifetime:
		return fmt.Errorf("--refresh-idle-lifetime (HALLPASS_REFRESH_IDLE_LIFETIME) must be %v or more, not %v",
			minLifetime, s.RefreshIdle)
	case s.RefreshLifetime < s.RefreshIdle:
		return fmt.Errorf("--refresh-lifetime (HALLPASS_REFRESH_LIFETIME) must be no shorter than "+
			"--refresh-idle-lifetime (%v), not %v", s.RefreshIdle, s.RefreshLifetime)
	case s.RefreshGrace < 0 || s.RefreshGrace > maxGrace:
		return fmt.Errorf("--refresh-grace (HALLPASS_REFRESH_GRACE) must be from 0s to %v, not %v", maxGrace, s.RefreshGrace)
	case s.BcryptCost < account.MinCost || s.BcryptCost > account.MaxCost:
		return fmt.Errorf("--bcrypt-cost (HALLPASS_BCRYPT_COST) must be from %d to %d, not %d",
			account.MinCost, account.MaxCost, s.BcryptCost)
	case s.PasswordWorkers < 1 || s.PasswordWorkers > maxWorkers:
		return fmt.Errorf("--password-workers (HALLPASS_PASSWORD_WORKERS) must be from 1 to %d, not %d", maxWorkers,
			s.PasswordWorkers)
	case s.PasswordWait < minWait:
		return fmt.Errorf("--password-wait (HALLPASS_PASSWORD_WAIT) must be %v or more, not %v", minWait, s.PasswordWait)
	case s.PasswordQueue < 1 || s.PasswordQueue > maxQueue:
		return fmt.Errorf("--password-queue (HALLPASS_PASSWORD_QUEUE) must be from 1 to %d, not %d", maxQueue,
			s.PasswordQueue)
	}
	return nil
}
