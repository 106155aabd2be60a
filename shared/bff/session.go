package bff

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/hallpass-auth/hallpass/shared/problem"
)

// session is the content of the cookies.
type session struct {
	AccessToken  string `json:"at"`
	RefreshToken string `json:"rt,omitempty"`
	Expires      int64  `json:"exp"` // of the access token, in seconds since 1970
	IDToken      string `json:"id"`  // from the login
	LoggedIn     int64  `json:"in"`  // in seconds since 1970
}

// defaultExpiry is how long an access token is used if the server does not say how long it is valid.
const defaultExpiry = 5 * time.Minute

// withTokens returns the session with the tokens from a token response.
func (s session) withTokens(t *oauth2.Token, now time.Time) *session {
	s.AccessToken = t.AccessToken
	if t.RefreshToken != "" {
		s.RefreshToken = t.RefreshToken
	}
	expiry := time.Duration(t.ExpiresIn) * time.Second
	if expiry <= 0 {
		expiry = defaultExpiry
	}
	s.Expires = now.Add(expiry).Unix()
	return &s
}

// user has the claims of the ID token that the page may see.
type user struct {
	Subject  string   `json:"sub"`
	Name     string   `json:"name,omitempty"`
	Username string   `json:"preferred_username,omitempty"`
	Email    string   `json:"email,omitempty"`
	Groups   []string `json:"groups,omitempty"`
}

// idClaims are the claims of an ID token that are needed after the login.
type idClaims struct {
	user
	SessionID string `json:"sid"`
	IssuedAt  int64  `json:"iat"`
}

// identity returns the claims of the ID token. It was verified at the login.
func (s *session) identity() (c idClaims, err error) {
	_, rest, _ := strings.Cut(s.IDToken, ".")
	payload, _, _ := strings.Cut(rest, ".")
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	return c, err
}

// Errors of current.
var (
	errNotLoggedIn = errors.New("not logged in")
	errEnded       = errors.New("the session has ended")
	errUnavailable = errors.New("the authorization server or the store cannot be asked")
)

// current returns the session of a request, with an access token that is valid now, and whether it was
// refreshed, in which case the response has new cookies. The error is one of those above. With errEnded, the
// cookies are removed.
func (h *Handler) current(w http.ResponseWriter, r *http.Request) (s *session, refreshed bool, err error) {
	old, err := h.cookies.readSession(r)
	if err != nil {
		return nil, false, errNotLoggedIn
	}
	s, err = h.usable(r.Context(), old)
	if err == nil && s != old {
		if err = h.cookies.writeSession(w, r, s, h.endOf(s).Sub(h.cfg.Now())); err != nil {
			h.cfg.Log.ErrorContext(r.Context(), "session not stored", "error", err)
			err = errEnded
		}
	}
	if errors.Is(err, errEnded) {
		h.cookies.deleteSession(w, r)
	}
	return s, s != old, err
}

// usable returns the session, refreshed if its access token is about to expire.
func (h *Handler) usable(ctx context.Context, s *session) (*session, error) {
	if !h.cfg.Now().Before(h.endOf(s)) {
		return nil, errEnded
	}
	if err := h.askStore(ctx, s); err != nil {
		return nil, err
	}
	s, err := h.refreshed(ctx, s)
	if err != nil {
		return nil, err
	}
	return s, h.askGuard(ctx, s)
}

// endOf returns when a session ends.
func (h *Handler) endOf(s *session) time.Time {
	return time.Unix(s.LoggedIn, 0).Add(h.cfg.Lifetime)
}

// refreshed returns the session itself if its access token is valid for a while, else a refreshed one.
func (h *Handler) refreshed(ctx context.Context, s *session) (*session, error) {
	left := time.Unix(s.Expires, 0).Sub(h.cfg.Now())
	if left > h.cfg.RefreshBefore {
		return s, nil
	}
	fresh, err := s, errEnded
	if s.RefreshToken != "" {
		fresh, err = h.refresh(ctx, s)
	}
	if left > 0 && err != nil && (s.RefreshToken == "" || errors.Is(err, errUnavailable)) {
		return s, nil // the access token is still valid
	}
	return fresh, err
}

// askGuard returns errEnded if the access token is revoked. If the Guard cannot tell, the API decides.
func (h *Handler) askGuard(ctx context.Context, s *session) error {
	if h.cfg.Guard == nil {
		return nil
	}
	r := &http.Request{Header: http.Header{"Authorization": {"Bearer " + s.AccessToken}}, URL: new(url.URL)}
	_, refusal := h.cfg.Guard.Authenticate(r.WithContext(ctx))
	if refusal != nil && refusal.Status == http.StatusUnauthorized {
		return errEnded
	}
	return nil
}

// refuse responds to a request from the page that has no usable session.
func refuse(w http.ResponseWriter, err error) {
	if errors.Is(err, errUnavailable) {
		w.Header().Set("Retry-After", "5")
		problem.Write(w, http.StatusServiceUnavailable, "The login service cannot be reached right now")
		return
	}
	problem.Write(w, http.StatusUnauthorized, "Not logged in")
}

// showSession serves GET /bff/session. The user is null if nobody is logged in.
func (h *Handler) showSession(w http.ResponseWriter, r *http.Request) {
	var response struct {
		User *user      `json:"user"`
		Ends *time.Time `json:"ends,omitempty"`
	}
	s, _, err := h.current(w, r)
	switch {
	case errors.Is(err, errUnavailable):
		refuse(w, err)
		return
	case err == nil:
		claims, err := s.identity()
		if err != nil {
			problem.Write(w, http.StatusInternalServerError, "The ID token of the session cannot be read")
			return
		}
		ends := h.endOf(s).UTC()
		response.User, response.Ends = &claims.user, &ends
	}
	writeJSON(w, response)
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // an error means that the client has disconnected
}
