package web

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-auth/hallpass/shared/dpop"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/assertion"
	"github.com/hallpass-auth/hallpass/authserver/internal/clientmeta"
	"github.com/hallpass-auth/hallpass/authserver/internal/emailcheck"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/passkey"
	"github.com/hallpass-auth/hallpass/authserver/internal/recovery"
	"github.com/hallpass-auth/hallpass/authserver/internal/revocation"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
	"github.com/hallpass-auth/hallpass/authserver/internal/signup"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/theme"
)

// Passwords checks usernames and passwords; *account.Login does. It is safe for concurrent use.
type Passwords interface {
	issuing.Passwords
	// WithLogin returns a browser that knows that the user has logged in with it. One without an id gets the given one,
	// which is random.
	WithLogin(b account.Browser, user account.User, id string) account.Browser
	// MinPasswordOf returns the minimum length of a user's new password, in characters.
	MinPasswordOf(u account.User) int
	// ReserveCode counts a try of a code of a user's second factor, or returns an *account.ThrottledError.
	ReserveCode(ctx context.Context, user account.User, address string, b account.Browser) (account.FailureKey, error)
	// KeyOf returns what the failures of a user's logins in a browser are counted under.
	KeyOf(ctx context.Context, user account.User, address string, b account.Browser) (account.FailureKey, error)
}

// Config configures the endpoints. All fields but DefaultClient, AllowedOrigins, Documents, Registration,
// UnregisteredScope, Passkeys, Recovery, Emails, SignUp, Failures, Language and Theme are required.
type Config struct {
	// IssuerURL is the authorization server's identifier.
	IssuerURL string
	// DefaultClient is the id of the client assumed when a request omits client_id; empty
	// means that such a request is refused.
	DefaultClient string
	// AllowedOrigins are the origins of pages whose scripts may call the endpoints for apps.
	AllowedOrigins []string

	// Store has the sessions, second factors, consents, clients, APIs and descriptions of scopes.
	Store *store.Store
	// Passwords checks usernames and passwords.
	Passwords Passwords
	// Tokens issues, inspects and revokes tokens, and finds clients.
	Tokens *issuing.Service
	// Assertions verifies the assertions by which clients authenticate.
	Assertions *assertion.Verifier
	// Documents finds clients by their metadata documents; nil means that none is accepted.
	Documents *clientmeta.Documents
	// Registration says who may register clients; the zero value means nobody.
	Registration Registration
	// UnregisteredScope is what clients of documents and of registration may ask for; empty means every scope
	// that is described.
	UnregisteredScope oauth.Scope
	// Accounts changes the accounts of users who are logged in.
	Accounts *account.Service
	// SecondFactors checks and changes second factors.
	SecondFactors *secondfactor.Service
	// Passkeys runs the ceremonies of passkeys; nil if the issuer has no domain name.
	Passkeys *passkey.Service
	// Recovery serves users who have forgotten their password; nil means that there are no such pages.
	Recovery *recovery.Service
	// Emails serves the links in mails about email addresses; nil means that there is no such page.
	Emails *emailcheck.Service
	// SignUp serves people who make an account; nil means that there are no such pages.
	SignUp *signup.Service
	// Language is the language of people who read none of catalog.Languages; empty for English.
	Language string
	// Theme is how the pages look, and the texts that they do not take from the built-in catalog; nil for the built-in
	// look and texts.
	Theme *theme.Theme
	// AdminAPI serves the admin API, at issuing.AdminPath and below; nil if it is off.
	AdminAPI http.Handler
	// AdminWithoutSecondFactor lets users who have logged in with one factor have tokens of the admin API.
	AdminWithoutSecondFactor bool
	// Console returns the administrators' console, at /admin and below; nil if it is off.
	Console func(Site) http.Handler
	// Revocations publishes status lists, and Lists knows where.
	Revocations *revocation.Provider
	Lists       grant.Lists
	// Verifier accepts access tokens for the default API, as /userinfo does.
	Verifier *token.Verifier
	// Proofs verifies DPoP proofs, at the URL of the issuer.
	Proofs *dpop.Verifier
	// Keys has the public keys.
	Keys keyring.Source
	// Failures, unless nil, records failed logins in the audit log.
	Failures account.FailureRecorder
	// Now is the clock.
	Now func() time.Time
	// Log gets unexpected errors and security events.
	Log *slog.Logger
	// Registry gets the counters of the endpoints.
	Registry prometheus.Registerer
}
