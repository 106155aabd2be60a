package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/keyfile"
)

// apiKeys is the flag of the commands that write the keys file of the default API, which has no private
// key.
type apiKeys struct {
	APIKeysFile string `name:"api-keys-file" env:"HALLPASS_API_KEYS_FILE" placeholder:"PATH" help:"JWK Set of the default API, which has its shared secret only. By default it is beside that of the authorization server: api-keys.json beside keys.json."`
}

// path returns the path of the API's file, given that of the authorization server.
func (f apiKeys) path(server string) string {
	if f.APIKeysFile != "" || server == "" {
		return f.APIKeysFile
	}
	return keyfile.APIPath(server)
}

// create creates the two files of a new authorization server: its own, and that of the default API if the
// key is a shared secret. It returns the paths that it has created.
func (f apiKeys) create(server, algorithm string) (created []string, err error) {
	if server == "" {
		return nil, keyfile.ErrNoPath
	}
	if algorithm == keyring.HS256 {
		if err := missing(server, f.path(server)); err != nil {
			return nil, err
		}
	}
	set, err := newServerKeys(algorithm, time.Now())
	if err != nil {
		return nil, err
	}
	if err := keyfile.Create(server, set); err != nil {
		return nil, err
	}
	created = []string{server}
	exported, err := f.export(server)
	if exported != "" {
		created = append(created, exported)
	}
	return created, err
}

// newServerKeys returns the JWK Set of a new authorization server: a key of the algorithm for access
// tokens, and an RSA key for ID tokens. Both sign at once.
func newServerKeys(algorithm string, now time.Time) ([]byte, error) {
	set, err := keyring.Generate(algorithm, now, rand.Reader)
	if err != nil {
		return nil, err
	}
	set, _, err = keyring.AddIDTokenKey(set, keyring.RS256, now, rand.Reader)
	return set, err
}

// missing returns keyfile.ErrExists for the first path that exists.
func missing(paths ...string) error {
	for _, path := range paths {
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s %w", path, keyfile.ErrExists)
		}
	}
	return nil
}

// export creates the file of the default API, and returns its path. It returns "" if the API needs no file,
// because it reads public keys, and keyfile.ErrExists if it has one.
func (f apiKeys) export(server string) (path string, err error) {
	ring, err := keyfile.ReadRing(server)
	if err != nil || !keyfile.HasSharedSecret(ring) {
		return "", err
	}
	set, err := os.ReadFile(server)
	if err != nil {
		return "", err
	}
	exported, err := keyring.ForAPI(set, "")
	if err != nil {
		return "", err
	}
	path = f.path(server)
	if err := keyfile.Create(path, exported); err != nil {
		return "", err
	}
	return path, nil
}

// tellCreated prints who gets each of the new files.
func tellCreated(streams program.Streams, algorithm string, created []string) {
	use := "the authorization server only, with --keys-file"
	if algorithm != keyring.HS256 {
		use += ", and set --keys-url for the API"
	}
	fmt.Fprintf(streams.Out, "created %s: give it to %s\n", created[0], use)
	for _, path := range created[1:] {
		fmt.Fprintf(streams.Out, "created %s: give it to the API, with --keys-file\n", path)
	}
}
