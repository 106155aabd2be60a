package bff

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// authServer holds the authorization server's metadata.
type authServer struct {
	issuer   string
	keys     *keySet
	tokens   oidc.Config // for ID tokens and logout tokens
	config   oauth2.Config
	metadata struct {
		EndSession string   `json:"end_session_endpoint"`
		Revocation string   `json:"revocation_endpoint"`
		Keys       string   `json:"jwks_uri"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
		SendsIss   bool     `json:"authorization_response_iss_parameter_supported"`
	}
}

// metadataPause is the time after a fetch of the metadata that has failed, so that strangers cannot cause one with each
// request.
const metadataPause = time.Second

// discovery is the fetch of the metadata. One runs at a time, for all who wait for it.
type discovery struct {
	mu     sync.Mutex
	failed time.Time // when the last fetch failed
	err    error     // of that fetch
}

// authServer returns the authorization server. Its metadata is fetched once.
func (h *Handler) authServer(ctx context.Context) (*authServer, error) {
	if known := h.server.Load(); known != nil {
		return known, nil
	}
	d := &h.discovery
	d.mu.Lock()
	defer d.mu.Unlock()
	if known := h.server.Load(); known != nil {
		return known, nil
	}
	if d.err != nil && h.cfg.Now().Sub(d.failed) < metadataPause {
		return nil, d.err
	}
	found, err := h.discover(context.WithoutCancel(ctx)) // others wait for it, too
	if err != nil {
		d.failed, d.err = h.cfg.Now(), err
		return nil, err
	}
	h.server.Store(found)
	return found, nil
}

// discover fetches the metadata.
func (h *Handler) discover(ctx context.Context) (*authServer, error) {
	provider, err := oidc.NewProvider(h.withClient(ctx), h.cfg.Issuer)
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	s := &authServer{issuer: h.cfg.Issuer}
	if err := provider.Claims(&s.metadata); err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	s.keys = &keySet{url: s.metadata.Keys, client: h.http, now: h.cfg.Now}
	// If the algorithms contain HS256 or none, oidc.StaticKeySet refuses those.
	s.tokens = oidc.Config{ClientID: h.cfg.ClientID, Now: h.cfg.Now, SupportedSigningAlgs: s.metadata.Algorithms}
	s.config = oauth2.Config{
		ClientID:     h.cfg.ClientID,
		ClientSecret: h.cfg.ClientSecret,
		RedirectURL:  h.cfg.URL + callbackPath,
		Scopes:       append([]string{oidc.ScopeOpenID}, h.cfg.Scopes...),
		Endpoint:     provider.Endpoint(),
	}
	s.config.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if h.cfg.ClientSecret == "" {
		s.config.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return s, nil
}

// withClient returns a context that makes oauth2 and go-oidc use our HTTP client.
func (h *Handler) withClient(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, h.http)
}

// resource returns the option that names the API, if it is not the default one.
func (h *Handler) resource() []oauth2.AuthCodeOption {
	if h.cfg.Resource == "" {
		return nil
	}
	return []oauth2.AuthCodeOption{oauth2.SetAuthURLParam("resource", h.cfg.Resource)}
}

// revoke ends a login by revoking one of its tokens (RFC 7009 section 2.1).
func (h *Handler) revoke(ctx context.Context, s *authServer, token string) error {
	if s.metadata.Revocation == "" {
		return errors.New("the authorization server has no revocation endpoint")
	}
	form := url.Values{"token": {token}}
	if h.cfg.ClientSecret == "" {
		form.Set("client_id", h.cfg.ClientID)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.metadata.Revocation, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if h.cfg.ClientSecret != "" {
		r.SetBasicAuth(url.QueryEscape(h.cfg.ClientID), url.QueryEscape(h.cfg.ClientSecret))
	}
	resp, err := h.http.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the revocation endpoint responds with %s", resp.Status)
	}
	return nil
}

// isCode reports whether err is the token endpoint's response with this error code (RFC 6749 section 5.2).
func isCode(err error, code string) bool {
	var refused *oauth2.RetrieveError
	return errors.As(err, &refused) && refused.ErrorCode == code
}

// reason returns an error for the log. The error of oauth2 would contain the whole response.
func reason(err error) string {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) {
		return fmt.Sprintf("the token endpoint responds with %s %s", refused.Response.Status, refused.ErrorCode)
	}
	return err.Error()
}
