// Package server puts the authorization server together from its settings.
package server

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/program"
	"github.com/hallpass-auth/hallpass/shared/tracing"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/outbound"
)

// cpuQuota is the CPU time that this process may use, in CPUs, if it has a quota.
var cpuQuota, hasCPUQuota = program.CPUQuota()

// Defaults are values that the help of commands and settings names; kong reads them as variables.
var Defaults = map[string]string{
	"listen":       "127.0.0.1:9000",
	"admin_listen": "127.0.0.1:9001",
	"issuer":       "http://127.0.0.1:9000",
	"audience":     "http://127.0.0.1:8000",
	"database_url": "sqlite:hallpass.db",

	"grant_types": grantTypes(),

	"password_min_length": strconv.Itoa(account.DefaultMinPassword),
	"bcrypt_cost":         strconv.Itoa(account.DefaultCost),
	"password_workers":    strconv.Itoa(defaultWorkers(runtime.GOMAXPROCS(0), cpuQuota, hasCPUQuota)),
}

// grantTypes lists the grant types, as kong reads and shows them.
func grantTypes() string {
	var names []string
	for _, t := range grant.Types {
		names = append(names, t.String())
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
	maxNice     = 19
	minWait     = 100 * time.Millisecond
)

// Settings are the settings of the serve command. kong reads the tags.
type Settings struct {
	HTTP         httpserver.Settings `embed:""`
	Keys         keyring.Settings    `embed:""`
	Database     Database            `embed:""`
	Mail         Mail                `embed:""`
	SignUp       SignUp              `embed:""`
	SecondFactor SecondFactor        `embed:""`
	Look         Look                `embed:""`
	Admin        Administration      `embed:""`
	Audit        Audit               `embed:""`
	Traces       tracing.Settings    `embed:""`

	DatabaseReplicaURL string `group:"Data" env:"HALLPASS_DATABASE_REPLICA_URL" secret:"" placeholder:"URL" help:"Replica of the PostgreSQL database, for reads that may be half a second old: clients, APIs and new revocations. The primary is read while the replica is down or lags. It has one host; the password is that of the database."`

	// Now is the clock of everything but logs, metrics and limits on time; time.Now if nil. It is no setting of the
	// program: tests step it.
	Now func() time.Time `kong:"-"`

	Issuer              string        `group:"Tokens" env:"HALLPASS_ISSUER" default:"${issuer}" placeholder:"URL" help:"The server's public URL: iss of its tokens (${default})."`
	Audience            string        `group:"Tokens" env:"HALLPASS_AUDIENCE" default:"${audience}" placeholder:"URL" help:"Identifier of the default API: aud of the tokens that name no other (${default})."`
	AccessTokenLifetime time.Duration `group:"Tokens" env:"HALLPASS_ACCESS_TOKEN_LIFETIME" default:"30m" help:"Lifetime of an access token: 1m to 24h (${default})."`

	RefreshIdle     time.Duration `name:"refresh-idle-lifetime" group:"Tokens" env:"HALLPASS_REFRESH_IDLE_LIFETIME" default:"720h" help:"How long a refresh token is valid if it is not used (${default})."`
	RefreshLifetime time.Duration `group:"Tokens" env:"HALLPASS_REFRESH_LIFETIME" default:"4320h" help:"How long a login lasts however often it is refreshed (${default})."`
	RefreshGrace    time.Duration `group:"Tokens" env:"HALLPASS_REFRESH_GRACE" default:"10s" help:"How long after its use a refresh token still works, and gives the same successor: 0s to 5m (${default})."`

	InsecureFetchFrom string `group:"Clients" env:"HALLPASS_INSECURE_FETCH_FROM" placeholder:"HOST:PORT" help:"Loopback address that the server may fetch documents and keys of clients from and send logouts and webhooks to, also without TLS: for tests and examples on this machine only."`

	ClientDocuments       []string `group:"Clients" env:"HALLPASS_CLIENT_DOCUMENTS" default:"off" placeholder:"DOMAIN" help:"Clients that nobody has registered, whose client_id is the https URL of a metadata document: off, all, or the domains whose documents are accepted, such as app.example or *.app.example (${default})."`
	Registration          string   `group:"Clients" env:"HALLPASS_REGISTRATION" enum:"off,open,token" default:"off" help:"Dynamic client registration at /register: off, open to everybody, or with the initial access token of --registration-token-file (${default})."`
	RegistrationTokenFile string   `group:"Clients" env:"HALLPASS_REGISTRATION_TOKEN_FILE" placeholder:"PATH" help:"File with the initial access token: 32 characters or more."`
	UnregisteredScope     string   `group:"Clients" env:"HALLPASS_UNREGISTERED_SCOPE" placeholder:"SCOPES" help:"Scopes, separated by spaces, that clients of documents and of dynamic registration may ask for. By default all that 'authserver scope' describes."`

	DefaultClient   string        `group:"Logins" env:"HALLPASS_DEFAULT_CLIENT" placeholder:"ID" help:"Public client assumed when a token request omits client_id. None by default: such a request is refused."`
	BcryptCost      int           `group:"Logins" env:"HALLPASS_BCRYPT_COST" default:"${bcrypt_cost}" help:"Cost of password hashes, 10 to 16; one more doubles the time of a login (${default})."`
	PasswordWorkers int           `group:"Logins" env:"HALLPASS_PASSWORD_WORKERS" default:"${password_workers}" help:"How many passwords are checked at once; by default the number of CPUs, or what leaves half a CPU of a quota (${default})."`
	PasswordNice    int           `group:"Logins" env:"HALLPASS_PASSWORD_NICE" default:"5" help:"How much lower the priority of checking passwords is than that of all other requests: 1 to 19 is added to the nice value of its threads, on Linux; 0 gives it no threads of its own (${default})."`
	PasswordQueue   int           `group:"Logins" env:"HALLPASS_PASSWORD_QUEUE" default:"64" help:"How many more logins may wait; beyond that, the newest login of the address with the most gets 503 with Retry-After (${default})."`
	PasswordWait    time.Duration `group:"Logins" env:"HALLPASS_PASSWORD_WAIT" default:"5s" help:"How long a login may wait for its password to be checked; one that would wait longer gets 503 with Retry-After (${default})."`
	Demo            DemoMode      `group:"Logins" env:"HALLPASS_DEMO" default:"off" placeholder:"MODE" help:"Make two users with well-known passwords and the client demo, which becomes the default client, once, in an empty database. on needs an issuer on this machine; auto is on with such an issuer, else off. The users can log in only while it is on (${default})."`
}

// Validate checks what kong cannot. The error names the setting.
func (s *Settings) Validate() error {
	if err := errors.Join(s.HTTP.Validate(), s.Database.Validate(), s.Traces.Validate()); err != nil {
		return err
	}
	if err := s.checkReplica(); err != nil {
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
	if _, err := outbound.ParseException(s.InsecureFetchFrom); err != nil {
		return fmt.Errorf("--insecure-fetch-from (HALLPASS_INSECURE_FETCH_FROM): %w", err)
	}
	if err := s.checkUnregistered(); err != nil {
		return err
	}
	if err := cmp.Or(s.checkMail(), s.checkSignUp()); err != nil {
		return err
	}
	if err := cmp.Or(s.SecondFactor.check(), s.Audit.check()); err != nil {
		return err
	}
	if _, err := s.Look.theme(); err != nil {
		return err
	}
	return cmp.Or(s.Admin.check(), s.checkBounds())
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
	case s.PasswordNice < 0 || s.PasswordNice > maxNice:
		return fmt.Errorf("--password-nice (HALLPASS_PASSWORD_NICE) must be from 0 to %d, not %d", maxNice, s.PasswordNice)
	case s.PasswordWait < minWait:
		return fmt.Errorf("--password-wait (HALLPASS_PASSWORD_WAIT) must be %v or more, not %v", minWait, s.PasswordWait)
	case s.PasswordQueue < 1 || s.PasswordQueue > maxQueue:
		return fmt.Errorf("--password-queue (HALLPASS_PASSWORD_QUEUE) must be from 1 to %d, not %d", maxQueue,
			s.PasswordQueue)
	}
	return nil
}
