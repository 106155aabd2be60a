package keyfile

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// clockMargin is how much longer a key verifies than its last token is valid. It is the clock skew
// that verifiers allow.
const clockMargin = time.Minute

// Errors about rotations that would leave an API without the key that it needs.
var (
	// ErrSeveralAPIs means that the API would not get the key that it verifies with.
	ErrSeveralAPIs = errors.New(
		"the file has secrets of several APIs, so each API has a file of its own and would reject tokens of a key " +
			"that is not in it: pass the API's file with --also PATH, " +
			"or pass --later and run 'key export' before the new key signs")
	// ErrOwnFile means that the API has a file of its own, which would not get the new key.
	ErrOwnFile = errors.New(
		"the file has a private key for ID tokens, so the API has a file of its own and would reject tokens of a key " +
			"that is not in it: pass the API's file with --also PATH, " +
			"or pass --later and run 'key export' before the new key signs")
	// ErrExport means that a file was made for an API, which the authorization server does not read.
	ErrExport = errors.New(
		"the file was made for an API by 'key export' or 'api add': " +
			"give the file that the authorization server signs with, and pass this one with --also")
	// ErrPublicOnly means that a file is that of an API and not of the authorization server.
	ErrPublicOnly = errors.New(
		"the file has only public keys, like the file of an API: " +
			"give the file that the authorization server signs with, and pass this one with --also")
	// ErrTwice means that two paths lead to the same file. The wrapping error names it.
	ErrTwice = errors.New("is named twice: --also is for the files of APIs, beside that of the server")
)

// Rotation says which keys are replaced, and how.
type Rotation struct {
	// Path is the JWK Set of the authorization server.
	Path string
	// APIPath is that of the default API. If there is no such file, only Path and Also are changed.
	APIPath string
	// Also are the files of other APIs, which get no private key.
	Also []string
	// API is the API whose secret is replaced; empty for the key of all other APIs.
	API string
	// IDTokens replaces the key that signs ID tokens: that of Algorithm, by default RS256. API must be empty.
	IDTokens bool
	// Algorithm is that of the new key; empty for that of the current one.
	Algorithm string
	// SignsAfter is how long after the rotation the new key signs; nil for keyring.SigningDelay.
	SignsAfter *time.Duration
	// Lifetime is that of access tokens: the previous keys verify that much longer than they sign.
	Lifetime time.Duration
	// Later allows that the file of an API does not get a new key that it needs.
	Later bool
	// Compromised makes the new keys sign at once, and the previous ones invalid. With an empty API, the keys of all
	// APIs and of ID tokens are replaced.
	Compromised bool
}

// Prepared is a rotation that Write writes. No other command can change its files until then.
type Prepared struct {
	rotation  Rotation
	files     []*Replacement
	isCreated bool // the default API's file, by Create
	change
}

// Prepare makes the new keys at now, and changes nothing. The caller must call Discard. It returns ErrBusy,
// ErrSeveralAPIs, ErrOwnFile, ErrExport, ErrPublicOnly, ErrTwice, or an error of package keyring.
func (c Rotation) Prepare(now time.Time) (*Prepared, error) {
	if c.IDTokens {
		c.API = keyring.IDTokenAudience(cmp.Or(c.Algorithm, keyring.RS256))
	}
	p := &Prepared{rotation: c}
	paths, err := c.paths()
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		file, err := Replace(path)
		if err != nil {
			p.Discard()
			return nil, err
		}
		p.files = append(p.files, file)
	}
	if p.change, err = c.rotate(p.files, now); err != nil {
		p.Discard()
		return nil, err
	}
	return p, nil
}

// Discard removes what Prepare has made. It does nothing after Write has succeeded.
func (p *Prepared) Discard() {
	for _, file := range p.files {
		file.Discard()
	}
}

// Create creates the default API's file, if it needs one, and returns its path; "" if it needs none. It returns
// ErrExists if another file is in its place.
func (p *Prepared) Create() (path string, err error) {
	if p.created == nil {
		return "", nil
	}
	if err := Create(p.rotation.APIPath, p.created); err != nil {
		return "", err
	}
	p.isCreated = true
	return p.rotation.APIPath, nil
}

// Step is one write of a rotation.
type Step struct {
	// Path is the file, with links resolved, and Content what is written to it.
	Path    string
	Content []byte
	// Last says that the file is not written again.
	Last bool

	// left is what is wrong if this step fails after others; "" if nothing is.
	left string
}

// Explain returns the error of a step that failed, with what is left half done and what to do.
func (s Step) Explain(err error) error {
	if s.left == "" {
		return err
	}
	return fmt.Errorf("%s: %w", s.left, err)
}

// Steps returns the writes of a rotation in order. In a scheduled rotation, APIs accept after each step what the server
// signs: their files get the new keys before the server's file changes, and an end for the previous keys after it. If
// the keys have leaked, the server's file comes first, so that nothing changes if it cannot be written.
func (p *Prepared) Steps() []Step {
	last := len(p.files) - 1
	var first, ends []Step
	for i, file := range p.files[:last] {
		end := Step{Path: file.path, Content: p.contents[i], Last: true}
		if p.rotation.Compromised {
			end.left = "the server has new keys, but this API still accepts the leaked ones and refuses the new ones: " +
				"run the command again"
		} else {
			first = append(first, Step{Path: file.path, Content: p.announced[i]})
			end.left = "the keys are rotated, but this file gives the previous ones no end until the next rotation"
		}
		ends = append(ends, end)
	}
	server := Step{Path: p.files[last].path, Content: p.Content(), Last: true}
	if len(first) > 0 {
		server.left = "APIs have a new key that the server does not have, which does no harm: run the command again"
	}
	return append(append(first, server), ends...)
}

// Write writes the files step by step, and calls wrote with the path of each. Call Create before: what it has created
// is removed again if the server's file, which is then the only other one, cannot be written.
func (p *Prepared) Write(wrote func(path string)) error {
	for _, step := range p.Steps() {
		i := slices.IndexFunc(p.files, func(r *Replacement) bool { return r.path == step.Path })
		if err := p.files[i].Write(step.Content); err != nil {
			if p.isCreated && !p.files[i].replaced {
				err = errors.Join(err, os.Remove(p.rotation.APIPath))
			}
			return step.Explain(err)
		}
		if step.Last {
			wrote(step.Path)
		}
	}
	return nil
}

// Content returns the new content of the authorization server's file.
func (p *Prepared) Content() []byte { return p.contents[len(p.contents)-1] }

// Keys returns the new keys. The last may be the first key for ID tokens of the file, which had none.
func (p *Prepared) Keys() []*keyring.Successor { return slices.Concat(p.keys, p.added) }

// Uncovered returns the new keys that an API's file needs and does not get.
func (p *Prepared) Uncovered() []*keyring.Successor { return p.uncovered }

// Creates reports whether the default API needs a file of its own, which Create creates.
func (p *Prepared) Creates() bool { return p.created != nil }

// NeedsExport reports whether the default API needs a file of its own, which the operator must make.
func (p *Prepared) NeedsExport() bool { return p.exportLater }

// paths returns the files to change: those of APIs, and last that of the authorization server.
func (c Rotation) paths() ([]string, error) {
	paths := append(slices.Clone(c.Also), c.Path)
	if err := distinct(paths); err != nil || c.API != "" {
		return paths, err
	}
	api, err := ExistingAPIPath(c.APIPath)
	if err != nil || api == "" || distinct(append(paths, api)) != nil {
		return paths, err
	}
	return append([]string{api}, paths...), nil
}

// distinct returns an error if two paths lead to the same file.
func distinct(paths []string) error {
	var infos []fs.FileInfo
	for _, path := range paths {
		info, err := Regular(path)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(infos, func(other fs.FileInfo) bool { return os.SameFile(info, other) }) {
			return fmt.Errorf("%s %w", path, ErrTwice)
		}
		infos = append(infos, info)
	}
	return nil
}

// InFile adds the name of the file to an error about its keys.
func InFile(path string, err error) error {
	if errors.Is(err, keyring.ErrNoKey) {
		return fmt.Errorf("%s: %w: 'authserver key list %s' shows its keys", path, err, path)
	}
	return fmt.Errorf("%s: %w", path, err)
}

// HasSharedSecret reports whether the ring has a secret of no particular API, which the default API needs.
func HasSharedSecret(ring *keyring.Ring) bool {
	return slices.ContainsFunc(ring.Keys(), func(k *keyring.Key) bool {
		return k.Audience == "" && k.Algorithm == keyring.HS256
	})
}
