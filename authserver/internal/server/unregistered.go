package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/hallpass-auth/hallpass/shared/database"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/clientmeta"
	"github.com/hallpass-auth/hallpass/authserver/internal/outbound"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// minInitialToken is the shortest initial access token, in bytes.
const minInitialToken = 32

// checkUnregistered checks the settings of clients that nobody has registered.
func (s *Settings) checkUnregistered() error {
	if _, err := clientmeta.ParsePolicy(s.ClientDocuments); err != nil {
		return fmt.Errorf("--client-documents (HALLPASS_CLIENT_DOCUMENTS) %w", err)
	}
	if (s.Registration == "token") != (s.RegistrationTokenFile != "") {
		return errors.New("--registration=token (HALLPASS_REGISTRATION) and --registration-token-file " +
			"(HALLPASS_REGISTRATION_TOKEN_FILE) need each other")
	}
	if _, err := oauth.ParseScope(s.UnregisteredScope); err != nil {
		return fmt.Errorf("--unregistered-scope (HALLPASS_UNREGISTERED_SCOPE): %w", err)
	}
	return nil
}

// setUnregistered sets what the endpoints need for clients that nobody has registered.
func (s *Settings) setUnregistered(cfg *web.Config, guard *outbound.Guard, log *slog.Logger) error {
	policy, err := clientmeta.ParsePolicy(s.ClientDocuments)
	if err != nil {
		return err
	}
	cfg.Documents = clientmeta.NewDocuments(policy, guard, log)
	if cfg.UnregisteredScope, err = oauth.ParseScope(s.UnregisteredScope); err != nil {
		return err
	}
	cfg.Registration, err = s.registration(log)
	return err
}

// registration returns who may register clients. It reads the file of the initial access token, which must have one.
func (s *Settings) registration(log *slog.Logger) (web.Registration, error) {
	switch s.Registration {
	case "open":
		return web.Registration{Open: true}, nil
	case "token":
		token, err := openInitialToken(s.RegistrationTokenFile, log)
		if err != nil {
			return web.Registration{}, fmt.Errorf("--registration-token-file (HALLPASS_REGISTRATION_TOKEN_FILE): %w", err)
		}
		return web.Registration{TokenDigest: token.digest}, nil
	}
	return web.Registration{}, nil
}

// initialToken is the initial access token in a file. It is safe for concurrent use.
type initialToken struct {
	path string
	text func() (string, error)
	log  *slog.Logger

	mu     sync.Mutex
	broken bool // the file had no token when it was last read
}

// openInitialToken returns the token in a file. It returns an error if the file has none.
func openInitialToken(path string, log *slog.Logger) (*initialToken, error) {
	text, err := database.OpenPasswordFile(path)
	if err != nil {
		return nil, err
	}
	t := &initialToken{path: path, text: text, log: log}
	_, err = t.read()
	return t, err
}

// read returns the token that the file has now.
func (t *initialToken) read() (string, error) {
	text, err := t.text()
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(text)
	if len(token) < minInitialToken || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("%s must have one line of %d characters or more, without spaces", t.path, minInitialToken)
	}
	return token, nil
}

// digest returns the digest of the token that the file has now, so that a replaced token is refused at once. Without a
// token it returns "", and logs that once.
func (t *initialToken) digest(ctx context.Context) string {
	token, err := t.read()
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err != nil && !t.broken:
		t.log.ErrorContext(ctx, "no client can register: the initial access token cannot be read", "error", err)
	case err == nil && t.broken:
		t.log.InfoContext(ctx, "clients can register again: the initial access token can be read")
	}
	t.broken = err != nil
	if t.broken {
		return ""
	}
	return secret.Digest(token)
}
