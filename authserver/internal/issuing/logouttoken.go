package issuing

import (
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
)

// logoutTokenType is the typ header of logout tokens. ID tokens have another, so neither passes for the other.
const logoutTokenType = "logout+jwt" //nolint:gosec // a media type, not a secret

// logoutTokenLifetime is how long a logout token is valid (OpenID Connect Back-Channel Logout 1.0 section 2.4).
const logoutTokenLifetime = 2 * time.Minute

// logoutEvent is the member of events that makes a token a logout token.
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// logoutTokenClaims are the claims of a logout token. It must have no nonce.
type logoutTokenClaims struct {
	jwt.RegisteredClaims
	Audience  string              `json:"aud"` // one client, as a string: not every client reads a list
	SessionID string              `json:"sid,omitempty"`
	Events    map[string]struct{} `json:"events"`
}

// LogoutToken returns a token that tells the client that the session of the user has ended (OpenID Connect
// Back-Channel Logout 1.0 section 2.4). It is signed as the client's ID tokens are: see signFor.
func (s *Service) LogoutToken(c client.Client, subject, sessionID string) (string, error) {
	id, err := uuid.NewRandomFromReader(s.cfg.Random)
	if err != nil {
		return "", err
	}
	now := s.cfg.Now()
	text, err := s.signFor(c, logoutTokenType, logoutTokenClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    s.cfg.Issuer,
			Subject:   subject,
			IssuedAt:  jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(logoutTokenLifetime)),
			ID:        id.String(),
		},
		Audience:  c.ID,
		SessionID: sessionID,
		Events:    map[string]struct{}{logoutEvent: {}},
	})
	if err != nil {
		return "", fmt.Errorf("signing a logout token: %w", err)
	}
	return text, nil
}
