package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"

	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/keyfile"
)

// KeyFiles are the files with the signing keys of this server.
type KeyFiles struct {
	// Path is the JWK Set of the authorization server; empty if its key is a secret in a setting.
	Path string
	// APIPath is the JWK Set of the default API; by default it is the one beside Path.
	APIPath string
	// Copied says that other machines may have copies of the files, which a rotation on this one does not change.
	Copied bool
	// Lifetime is that of access tokens.
	Lifetime time.Duration
}

// Errors about signing keys.
var (
	// ErrNoKeysFile means that the key is a secret in a setting, so there is no file.
	ErrNoKeysFile = errors.New("the key is the secret of HALLPASS_TOKEN_SECRET: there is no file with keys")
	// ErrBadRotation means that a rotation is asked for that cannot be made. The text says why.
	ErrBadRotation = errors.New("these keys cannot be rotated")
	// ErrKeysElsewhere means that this server cannot change the keys. The text says which command does.
	ErrKeysElsewhere = errors.New("this server cannot rotate its keys")
)

// Key is a signing key, without its secret.
type Key struct {
	ID        string
	Algorithm string
	// Audience is the API that the key is for; empty for all others, and for ID tokens.
	Audience string
	// IDTokens says that the key signs ID tokens.
	IDTokens bool
	// State is what the key does now.
	State keyring.State
	// SignsFrom is when it begins to sign; zero if it always has.
	SignsFrom time.Time
	// VerifiesUntil is when its last token has expired; zero if it was not replaced.
	VerifiesUntil time.Time
}

// KeysIn returns the keys of a JWK Set with their schedule at now. Its errors name the file.
func KeysIn(path string, now time.Time) ([]Key, error) {
	ring, err := keyfile.ReadRing(path)
	if err != nil {
		return nil, err
	}
	keys := make([]Key, 0, ring.Len())
	for _, k := range ring.Keys() {
		key := Key{
			ID:            k.ID,
			Algorithm:     k.Algorithm,
			Audience:      k.Audience,
			IDTokens:      k.ForIDTokens(),
			State:         ring.StateOf(k, now),
			SignsFrom:     k.SignsFrom,
			VerifiesUntil: k.VerifiesUntil,
		}
		if key.IDTokens {
			key.Audience = ""
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// SigningKeys returns the keys of this server. It returns ErrNoKeysFile if they are in no file.
func (s *Service) SigningKeys(context.Context) ([]Key, error) {
	if s.Keys.Path == "" {
		return nil, ErrNoKeysFile
	}
	return KeysIn(s.Keys.Path, s.Now())
}

// RotateKey says which key is replaced. The zero value replaces the key of all APIs without a secret of their own.
type RotateKey struct {
	// API is the API whose own secret is replaced.
	API string
	// IDTokens replaces the key that signs ID tokens: that of Algorithm, by default RS256. API must be empty.
	IDTokens bool
	// Algorithm is that of the new key; empty for that of the current one.
	Algorithm string
	// Compromised makes the new keys sign at once, and all tokens of the previous ones invalid. Without API and
	// IDTokens, all keys are replaced.
	Compromised bool
}

// Validate returns ErrBadRotation for keys of ID tokens that would be those of an API, or a shared secret.
func (r RotateKey) Validate() error {
	if r.IDTokens && (r.API != "" || r.Algorithm == keyring.HS256) {
		return fmt.Errorf("%w: keys of ID tokens are key pairs, and belong to no API: leave out the API, and choose "+
			"RS256, ES256 or EdDSA", ErrBadRotation)
	}
	return nil
}

// RotateSigningKeys adds keys that replace those of this server, and returns them. Running servers read the files again
// within seconds. It returns ErrBadRotation, ErrNoKeysFile, ErrKeysElsewhere if the files cannot be changed here,
// keyfile.ErrBusy, or an error of keyfile.Rotation.Prepare.
func (s *Service) RotateSigningKeys(ctx context.Context, r RotateKey) ([]*keyring.Successor, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	switch k := s.Keys; {
	case k.Path == "":
		return nil, ErrNoKeysFile
	case inKubernetes(k.Path):
		return nil, fmt.Errorf("%w: they are in a Kubernetes Secret: %s", ErrKeysElsewhere, r.forSecret())
	case k.Copied:
		return nil, fmt.Errorf("%w: other machines may have copies of %s: run '%s' on the machine where the file is made, "+
			"and copy it", ErrKeysElsewhere, k.Path, r.command(k.Path))
	}
	apiPath := s.Keys.APIPath
	if apiPath == "" {
		apiPath = keyfile.APIPath(s.Keys.Path)
	}
	p, err := keyfile.Rotation{
		Path:        s.Keys.Path,
		APIPath:     apiPath,
		API:         r.API,
		IDTokens:    r.IDTokens,
		Algorithm:   r.Algorithm,
		Lifetime:    s.Keys.Lifetime,
		Compromised: r.Compromised,
	}.Prepare(s.Now())
	if err != nil {
		return nil, s.explain(r, err)
	}
	defer p.Discard()
	if _, err := p.Create(); err != nil {
		return nil, s.explain(r, err)
	}
	// Record first, and write the files last: no key is replaced without a record.
	if err := s.recordRotation(ctx, r, p.Keys(), audit.Success); err != nil {
		return nil, err
	}
	if err := p.Write(func(string) {}); err != nil {
		errRecord := s.recordRotation(context.WithoutCancel(ctx), r, p.Keys(), audit.Failure)
		return nil, errors.Join(s.explain(r, err), errRecord)
	}
	return p.Keys(), nil
}

// recordRotation records each new key, in one transaction. The outcome is Success before the files are written, and
// Failure if they could not be. The error is the store's.
func (s *Service) recordRotation(
	ctx context.Context,
	r RotateKey,
	added []*keyring.Successor,
	outcome audit.Outcome,
) error {
	now := s.Now()
	return s.Store.Together(ctx, "", now, func(ctx context.Context) error {
		for _, k := range added {
			err := s.Store.Record(ctx, audit.Event{
				Name: "key_rotated", At: now, Outcome: outcome, Subject: audit.Subject{Kind: "key", ID: k.ID},
				Details: audit.Details("algorithm", k.Algorithm, "audience", k.Audience,
					"id_tokens", strconv.FormatBool(k.ForIDTokens()), "compromised", strconv.FormatBool(r.Compromised)),
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// explain returns ErrKeysElsewhere for an error that the command can avoid on another machine, or as another user.
func (s *Service) explain(r RotateKey, err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: %w: run '%s' as a user who may write the files", ErrKeysElsewhere, err,
			r.command(s.Keys.Path))
	case errors.Is(err, keyfile.ErrSeveralAPIs), errors.Is(err, keyfile.ErrOwnFile):
		return fmt.Errorf("%w: an API has a file of its own, which this server does not know: run '%s --also FILE'",
			ErrKeysElsewhere, r.command(s.Keys.Path))
	}
	return err
}

// command returns the command line that does the same.
func (r RotateKey) command(path string) string {
	var b strings.Builder
	b.WriteString("authserver key rotate " + path)
	if r.IDTokens {
		b.WriteString(" --id-tokens")
	}
	if r.API != "" {
		b.WriteString(" --api " + r.API)
	}
	if r.Algorithm != "" {
		b.WriteString(" --algorithm " + r.Algorithm)
	}
	if r.Compromised {
		b.WriteString(" --compromised")
	}
	return b.String()
}

// forSecret says how to do the same with a Kubernetes Secret. 'key rotate-secret' cannot replace leaked keys, the keys
// of one API or the algorithm.
func (r RotateKey) forSecret() string {
	switch {
	case r.Compromised || r.API != "" || r.Algorithm != "":
		return "copy the Secret to a file, run '" + r.command("keys.json") + "', and put the file back, as " +
			"deploy/kubernetes/README.md says in 'Keys and their rotation'"
	case r.IDTokens:
		return "run 'authserver key rotate-secret SECRET --id-tokens' in a pod whose service account may patch it"
	}
	return "run 'authserver key rotate-secret SECRET' in a pod whose service account may patch it, with --api-secret if " +
		"the API has a Secret with its keys"
}

// inKubernetes reports whether the file is in the volume of a Kubernetes Secret, whose files are links into a folder
// that ..data names.
func inKubernetes(path string) bool {
	_, err := os.Lstat(filepath.Join(filepath.Dir(path), "..data"))
	return err == nil
}
