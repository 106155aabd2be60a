package doctor

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

const (
	// registeredRedirect is the redirect URI of the client that logs in, and requestedRedirect the one that it uses:
	// the port of a loopback address may differ (RFC 8252 section 7.3). Nothing listens there.
	registeredRedirect = "http://127.0.0.1/doctor"
	requestedRedirect  = "http://127.0.0.1:49152/doctor"
	// defaultScope is requested if the API does not say what scopes it has.
	defaultScope = "profile"
	// nameBytes is how many random bytes are in the names of what is registered.
	nameBytes = 8
	// maxPages limits the pages and redirects of a login.
	maxPages = 8
)

// visit is what this run has registered, and what it has got.
type visit struct {
	username, password string
	clientID           string
	serviceID, secret  string // a client that introspects
	scope              oauth.Scope

	registered bool // the server knows the client and the user
	tokens     oauth.TokenResponse
	loggedIn   bool // tokens are valid
	previous   string
	nonce      string
	verifier   string // of PKCE (RFC 7636); never in a URL
}

// checkDatabase registers a user and two clients, and looks whether the server knows them.
func (e *exam) checkDatabase(ctx context.Context) result {
	if e.cfg.Store == nil {
		return failed("Set HALLPASS_DATABASE_URL to the database of the authorization server.",
			"the database cannot be opened: %v", e.cfg.StoreErr)
	}
	if e.metadata == nil {
		return noMetadata
	}
	if _, err := e.cfg.Store.APIByAudience(ctx, e.cfg.Audience); err != nil {
		if !errors.Is(err, record.ErrNotFound) {
			return failed("Check the database.", "the database cannot be read: %v", err)
		}
		return failed("Add it with 'authserver api add', or set HALLPASS_AUDIENCE of the authorization server, or that "+
			"of this command.", "the API %s is not registered in the database", e.cfg.Audience)
	}
	if err := e.register(ctx); err != nil {
		return failed("Check that this command may write to the database.", "a user and clients cannot be added: %v", err)
	}
	page, err := e.web.send(ctx, get(e.authorizationURL(e.authorizationRequest())))
	switch {
	case err != nil:
		return failed("Check the authorization server.", "the authorization endpoint cannot be reached: %s", why(err))
	case page.status != http.StatusOK && page.status != http.StatusSeeOther:
		return failed("Set HALLPASS_DATABASE_URL to the database of the authorization server.",
			"the authorization server does not know a client that was just registered: %s", pageText(page))
	}
	e.visit.registered = true
	return ok("the API is registered, and the server knows a client that was just added")
}

// register adds the user and the clients. The names are set first: what was added before an error is deleted.
func (e *exam) register(ctx context.Context) error {
	v := &e.visit
	var texts [4]string
	for i := range texts {
		text, err := secret.New(e.cfg.Random, "")
		if err != nil {
			return err
		}
		texts[i] = text
	}
	name := "doctor-" + hex.EncodeToString([]byte(texts[0][:nameBytes]))
	v.password, v.nonce, v.verifier = texts[1], texts[2], texts[3]
	v.scope = oauth.Scope{defaultScope}
	if e.resource != nil && len(e.resource.ScopesSupported) > 0 {
		v.scope = e.resource.ScopesSupported
	}
	user, err := e.newUser(name)
	if err != nil {
		return err
	}
	v.username = user.Username
	if err := e.cfg.Store.CreateUser(ctx, user); err != nil {
		return err
	}
	app, service, err := e.newClients(name)
	if err != nil {
		return err
	}
	v.clientID = app.ID
	if err := e.cfg.Store.CreateClient(ctx, app); err != nil {
		return err
	}
	v.serviceID = service.ID
	return e.cfg.Store.CreateClient(ctx, service)
}

// newUser returns the user, with the password of the visit.
func (e *exam) newUser(name string) (account.User, error) {
	hasher, err := account.NewHasher(account.MinCost)
	if err != nil {
		return account.User{}, err
	}
	hash, err := hasher.Hash(e.visit.password)
	if err != nil {
		return account.User{}, err
	}
	return account.New(name, "Doctor", hash, e.cfg.Now())
}

// newClients returns the public client that logs in, and the one that introspects, whose secret it keeps.
func (e *exam) newClients(id string) (app, service client.Client, err error) {
	text, digest, err := client.GenerateSecret(e.cfg.Random)
	if err != nil {
		return app, service, err
	}
	e.visit.secret = text
	app = client.Client{
		ID: id, Name: "authserver doctor", Scope: e.visit.scope, RedirectURIs: []string{registeredRedirect},
		Grants: []oauth.GrantType{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken}, CreatedAt: e.cfg.Now(),
	}
	if e.openID() {
		app.IDTokenAlgorithm = e.metadata.IDTokenSigningAlgorithms[0]
	}
	service = client.Client{
		ID: id + "-service", Name: "authserver doctor", Scope: e.visit.scope, SecretDigest: digest,
		Grants: []oauth.GrantType{oauth.GrantClientCredentials}, Introspects: true,
		IntrospectsFor: []string{e.cfg.Audience}, CreatedAt: e.cfg.Now(),
	}
	return app, service, errors.Join(app.Validate(), service.Validate())
}

// cleanUp deletes what was registered.
func (e *exam) cleanUp(ctx context.Context) result {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Timeout)
	defer cancel()
	v, now := e.visit, e.cfg.Now()
	var left []string
	remove := func(kind, name string, remove func() error) {
		if name == "" {
			return
		}
		if err := remove(); err != nil && !errors.Is(err, record.ErrNotFound) {
			left = append(left, "'authserver "+kind+" delete "+name+"'")
		}
	}
	remove("client", v.clientID, func() error { return e.cfg.Store.DeleteClient(ctx, v.clientID, now) })
	remove("client", v.serviceID, func() error { return e.cfg.Store.DeleteClient(ctx, v.serviceID, now) })
	remove("user", v.username, func() error { return e.cfg.Store.DeleteUser(ctx, v.username, now) })
	if len(left) > 0 {
		return failed("Run "+strings.Join(left, " and ")+".", "not everything could be deleted")
	}
	return ok("")
}
