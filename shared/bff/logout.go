package bff

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/hallpass-auth/hallpass/shared/internal/sparselog"
	"github.com/hallpass-auth/hallpass/shared/problem"
)

// maxLogoutToken limits the body of a back-channel logout, in bytes.
const maxLogoutToken = 32 << 10

// Store remembers which sessions of the authorization server have ended, for all replicas of a Handler. It
// must be safe for concurrent use.
type Store interface {
	// End records that all logins made in the session with this sid, up to the given time, have ended. The record
	// can be deleted after keep.
	End(ctx context.Context, sid string, at time.Time, keep time.Duration) error
	// Ended returns the latest time that was recorded for the session, or the zero time without a record.
	Ended(ctx context.Context, sid string) (time.Time, error)
}

// MemoryStore is a Store for a single replica. It forgets everything at a restart. Its zero value is ready to
// use.
type MemoryStore struct {
	mu    sync.Mutex
	ended map[string]time.Time
}

// End implements Store. It never fails.
func (m *MemoryStore) End(_ context.Context, sid string, at time.Time, keep time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended == nil {
		m.ended = map[string]time.Time{}
	}
	if at.After(m.ended[sid]) {
		m.ended[sid] = at
		time.AfterFunc(keep, func() { m.forget(sid, at) })
	}
	return nil
}

// forget deletes a record unless there is a later one.
func (m *MemoryStore) forget(sid string, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended[sid].Equal(at) {
		delete(m.ended, sid)
	}
}

// Ended implements Store. It never fails.
func (m *MemoryStore) Ended(_ context.Context, sid string) (time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ended[sid], nil
}

// askStore returns errEnded if the session has ended at the authorization server.
func (h *Handler) askStore(ctx context.Context, s *session) error {
	if h.cfg.Store == nil {
		return nil
	}
	claims, err := s.identity()
	if err != nil {
		return errEnded
	}
	if claims.SessionID == "" {
		return nil
	}
	ended, err := h.cfg.Store.Ended(ctx, claims.SessionID)
	if err != nil {
		h.cfg.Log.ErrorContext(ctx, "session not checked", "error", err)
		return errUnavailable
	}
	if !ended.IsZero() && claims.IssuedAt <= ended.Unix() {
		return errEnded
	}
	return nil
}

// logout serves POST /bff/logout. It revokes the login and responds with the location that the page must
// navigate to: the logout page of the authorization server, which ends its own session and all logins of this
// browser. If the login could not be revoked, revoked is false.
func (h *Handler) logout(w http.ResponseWriter, r *http.Request) {
	// A page that is closed meanwhile has logged out too.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), authTimeout)
	defer cancel()
	response := struct {
		Location string `json:"location"`
		Revoked  bool   `json:"revoked"`
	}{Location: "/"}
	s, readError := h.cookies.readSession(r)
	h.cookies.deleteSession(w, r)
	var ended error
	if readError == nil {
		ended = h.end(ctx, s) // also if the authorization server is down
	}
	server, err := h.authServer(ctx)
	if err == nil && server.metadata.EndSession != "" {
		response.Location = h.endSessionURL(server, s)
	}
	if readError == nil {
		if err == nil {
			err = h.revoke(ctx, server, cmp.Or(s.RefreshToken, s.AccessToken))
		}
		if response.Revoked = err == nil; err != nil {
			h.cfg.Log.WarnContext(ctx, "login not revoked at a logout", "reason", err)
		}
	}
	if ended != nil {
		h.cfg.Log.ErrorContext(ctx, "end of a session not stored", "error", ended)
	}
	writeJSON(w, response)
}

// end records the end of a session in the store.
func (h *Handler) end(ctx context.Context, s *session) error {
	if h.cfg.Store == nil {
		return nil
	}
	claims, err := s.identity()
	if err != nil || claims.SessionID == "" { // without a sid, this would end the sessions of others
		return err
	}
	return h.cfg.Store.End(ctx, claims.SessionID, time.Unix(claims.IssuedAt, 0), h.cfg.Lifetime)
}

// endSessionURL returns the URL where the authorization server logs the user out (OpenID Connect RP-Initiated
// Logout 1.0 section 2). s is nil without a session; the authorization server then asks the user to confirm.
func (h *Handler) endSessionURL(server *authServer, s *session) string {
	query := url.Values{"client_id": {h.cfg.ClientID}, "post_logout_redirect_uri": {h.cfg.URL + "/"}}
	if s != nil {
		query.Set("id_token_hint", s.IDToken)
	}
	return server.metadata.EndSession + "?" + query.Encode()
}

// clockMargin is how much the clocks of the authorization server's replicas may differ. The replica that issued
// the ID token may be ahead of the one that sends the logout token.
const clockMargin = 5 * time.Second

var errNoSessionID = errors.New("the logout token has no sid")

// backchannelLogout serves POST /bff/backchannel-logout (OpenID Connect Back-Channel Logout 1.0 section 2.5).
func (h *Handler) backchannelLogout(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	r.Body = http.MaxBytesReader(w, r.Body, maxLogoutToken)
	token, err := h.logoutToken(ctx, r.PostFormValue("logout_token"))
	switch {
	case errors.Is(err, errUnavailable):
		h.logNotAccepted(ctx, h.unverified, err)
		refuse(w, err)
		return
	case err != nil:
		h.logNotAccepted(ctx, h.refused, err)
		problem.Write(w, http.StatusBadRequest, "The logout token is not valid, or has no sid")
		return
	}
	at := token.IssuedAt.Add(clockMargin)
	if err := h.cfg.Store.End(ctx, token.SessionID, at, h.cfg.Lifetime); err != nil {
		h.cfg.Log.ErrorContext(ctx, "end of a session not stored", "error", err)
		refuse(w, errUnavailable)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// logNotAccepted logs why a logout token is not accepted.
func (h *Handler) logNotAccepted(ctx context.Context, reasons *sparselog.Reasons, reason error) {
	level, attributes := reasons.Next(reason, h.cfg.Now())
	h.cfg.Log.Log(ctx, level, "logout token not accepted", attributes...)
}

// logoutToken verifies a logout token. The error is errUnavailable if that is not possible now.
func (h *Handler) logoutToken(ctx context.Context, raw string) (*oidc.LogoutToken, error) {
	server, err := h.authServer(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnavailable, err)
	}
	token, err := verified(ctx, server, raw, (*oidc.IDTokenVerifier).VerifyLogout)
	if err == nil && token.SessionID == "" {
		err = errNoSessionID
	}
	return token, err
}
