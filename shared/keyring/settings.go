package keyring

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"
)

// watchInterval is how often a keys file is looked at. It bounds how long a
// rotation takes to reach a process; looking is one stat call.
const watchInterval = 2 * time.Second

// Settings says where the keys come from. The tags are read by kong; a program
// that does not use it fills the fields in. Exactly one must be set.
type Settings struct {
	TokenSecret string `group:"Keys" env:"HALLPASS_TOKEN_SECRET" secret:"" placeholder:"SECRET" help:"One shared secret of 32 bytes or more that signs and verifies tokens. Set it in the environment: other users of the machine see a program's flags."`
	KeysFile    string `group:"Keys" env:"HALLPASS_KEYS_FILE" placeholder:"PATH" help:"File with a JWK Set ('authserver key init' makes one), read again when it changes."`
}

// Open returns the source that the settings name. A keys file is followed until
// ctx ends, and must pass the checks whenever it is read. Errors name the setting and
// never hold a secret.
func (s Settings) Open(ctx context.Context, log *slog.Logger, checks ...Check) (Source, error) {
	switch {
	case s.TokenSecret != "" && s.KeysFile != "":
		return nil, errors.New("--token-secret (HALLPASS_TOKEN_SECRET) and --keys-file (HALLPASS_KEYS_FILE) are both set: set one of them")
	case s.KeysFile != "":
		file, err := Open(s.KeysFile, checks...)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("--keys-file (HALLPASS_KEYS_FILE) %s: %w; 'authserver key init %s' makes one for the authorization server, whose APIs then need the same", s.KeysFile, err, s.KeysFile)
		}
		if err != nil {
			return nil, fmt.Errorf("--keys-file (HALLPASS_KEYS_FILE) %s: %w", s.KeysFile, err)
		}
		go file.Watch(ctx, watchInterval, log)
		return file, nil
	case s.TokenSecret != "":
		ring, err := FromSecret(s.TokenSecret)
		if err != nil {
			return nil, fmt.Errorf("--token-secret (HALLPASS_TOKEN_SECRET) has %d bytes, HS256 needs %d or more: make one with 'openssl rand -hex 32'", len(s.TokenSecret), MinSecret)
		}
		return ring, nil
	}
	return nil, errors.New("no key: set --keys-file (HALLPASS_KEYS_FILE) to the authorization server's file, which 'authserver key init PATH' makes, or HALLPASS_TOKEN_SECRET to a secret that it shares with its APIs, which 'openssl rand -hex 32' makes; where it has a key pair, an API needs neither but --keys-url (HALLPASS_KEYS_URL)")
}
