package keyring

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
)

// Settings are the flags that name a server's keys, for kong. Exactly one must be set.
type Settings struct {
	TokenSecret string `group:"Keys" env:"HALLPASS_TOKEN_SECRET" secret:"" placeholder:"SECRET" help:"One shared secret of 32 bytes or more that signs and verifies tokens. Set it in the environment: other users of the machine see a program's flags."`
	KeysFile    string `group:"Keys" env:"HALLPASS_KEYS_FILE" placeholder:"PATH" help:"File with a JWK Set ('authserver key init' makes one), read again when it changes."`
}

// Open opens the source that an authorization server's settings name. A keys file is followed until
// ctx ends. The error names the setting and never holds a secret.
func (s Settings) Open(ctx context.Context, log *slog.Logger) (Source, error) {
	switch {
	case s.TokenSecret != "" && s.KeysFile != "":
		return nil, errors.New("--token-secret (HALLPASS_TOKEN_SECRET) and --keys-file (HALLPASS_KEYS_FILE) " +
			"are both set: set one of them")
	case s.KeysFile != "":
		file, err := Open(s.KeysFile)
		if err != nil {
			return nil, fmt.Errorf("--keys-file (HALLPASS_KEYS_FILE) %s: %w%s", s.KeysFile, err, s.hint(err))
		}
		go file.Watch(ctx, log)
		return file, nil
	case s.TokenSecret != "":
		ring, err := FromSecret(s.TokenSecret)
		if err != nil {
			return nil, fmt.Errorf("--token-secret (HALLPASS_TOKEN_SECRET): %w", err)
		}
		return ring, nil
	}
	return nil, errors.New("no key: set --keys-file (HALLPASS_KEYS_FILE) to a file that 'authserver key init PATH' " +
		"makes, or HALLPASS_TOKEN_SECRET to a secret that 'openssl rand -hex 32' makes")
}

// hint returns how to make a file that is missing.
func (s Settings) hint(err error) string {
	if !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return fmt.Sprintf("; 'authserver key init %s' makes one", s.KeysFile)
}
