package server

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

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
	cfg.Registration, err = s.registration()
	return err
}

// registration returns who may register clients. It reads the file of the initial access token.
func (s *Settings) registration() (web.Registration, error) {
	switch s.Registration {
	case "open":
		return web.Registration{Open: true}, nil
	case "token":
		text, err := os.ReadFile(s.RegistrationTokenFile)
		if err != nil {
			return web.Registration{}, fmt.Errorf("--registration-token-file (HALLPASS_REGISTRATION_TOKEN_FILE): %w", err)
		}
		token := strings.TrimSpace(string(text))
		if len(token) < minInitialToken || strings.ContainsAny(token, " \t\r\n") {
			return web.Registration{}, fmt.Errorf("--registration-token-file (HALLPASS_REGISTRATION_TOKEN_FILE): %s must have "+
				"one line of %d characters or more, without spaces", s.RegistrationTokenFile, minInitialToken)
		}
		return web.Registration{TokenDigest: secret.Digest(token)}, nil
	}
	return web.Registration{}, nil
}
