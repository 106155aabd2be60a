package main

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/program"
)

// clockMargin is how much longer a key verifies than the last token it has signed is
// good for: verifiers allow clocks to differ by a minute at the most.
const clockMargin = time.Minute

type keyRotateCommand struct {
	Path        string        `arg:"" help:"The authorization server's JWK Set."`
	Also        []string      `placeholder:"PATH" sep:"none" help:"File of an API that holds the same keys ('key export' or 'api add' made it), to change with it. It gets no private key. Repeat for more."`
	API         string        `name:"api" placeholder:"AUDIENCE" help:"Rotate the secret of this API, instead of the key that is tied to none."`
	Algorithm   string        `enum:",HS256,EdDSA,ES256,RS256" default:"" help:"Algorithm of the new key. By default that of the key before it."`
	SignsAfter  time.Duration `default:"5m" help:"How long until the new key signs: until every server and API has read it (${default})."`
	Lifetime    time.Duration `name:"access-token-lifetime" env:"HALLPASS_ACCESS_TOKEN_LIFETIME" default:"30m" help:"How long tokens of the keys before it are good: as serve has it (${default})."`
	Later       bool          `help:"Do without --also: the API's file is made anew, by 'key export', before the new key signs."`
	Compromised bool          `help:"Somebody else knows the keys before it: the new key signs at once, and no token that is out is good any more."`
}

// Validate is called by kong before anything runs.
func (c *keyRotateCommand) Validate() error {
	if c.SignsAfter < 0 || c.Lifetime < 0 {
		return errors.New("--signs-after and --access-token-lifetime (HALLPASS_ACCESS_TOKEN_LIFETIME) must not be negative")
	}
	return nil
}

// Run adds the key. The files of APIs come first: a key that signs is known to them.
func (c *keyRotateCommand) Run(streams program.Streams) error {
	var files []*replacement
	for _, path := range append(slices.Clone(c.Also), c.Path) {
		file, err := startReplacing(path)
		if err != nil {
			return unchanged(err)
		}
		defer file.drop()
		files = append(files, file)
	}
	next, rotated, err := c.rotate(files, time.Now())
	if err != nil {
		return unchanged(err)
	}
	for i, file := range files {
		if err := file.replace(rotated[i]); err != nil {
			return err
		}
		fmt.Fprintf(streams.Out, "%s: rotated\n", file.path)
	}
	fmt.Fprintf(streams.Out, "the key %s (%s) signs from %s; those before it verify until %s\n",
		next.ID, next.Algorithm, next.SignsFrom.UTC().Format(time.RFC3339), next.Retires.UTC().Format(time.RFC3339))
	return nil
}

// unchanged says so of an error before anything is written.
func unchanged(err error) error { return exitError("", fmt.Errorf("nothing is changed: %w", err)) }

// rotate makes the new key and what each file becomes with it. The last file is the
// authorization server's; the others get no private half.
func (c *keyRotateCommand) rotate(files []*replacement, now time.Time) (next *keyring.Successor, rotated [][]byte, err error) {
	own := len(files) - 1
	ring, err := keyring.Parse(files[own].content)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", files[own].path, err)
	}
	if next, err = c.successor(ring, now); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", files[own].path, err)
	}
	if _, apart := ring.BoundToOther(""); apart && next.Algorithm == keyring.HS256 && len(c.Also) == 0 && !c.Later {
		return nil, nil, errApart
	}
	half, err := next.ForAPI()
	if err != nil {
		return nil, nil, err
	}
	for i, file := range files {
		successor := half
		if i == own {
			successor = next
		}
		set, err := keyring.Rotate(file.content, successor, now)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", file.path, err)
		}
		rotated = append(rotated, set)
	}
	return next, rotated, nil
}

// errApart says that an API would not get the key it verifies with.
var errApart = program.WithCode(program.ExitUsage, errors.New("several APIs have secrets here, so each has a file of its own, and would refuse the tokens of a key that is not in it: name the API's file by --also PATH, or say --later if you make it anew by 'key export' before the new key signs"))

// errNotOurs says that a file is not the authorization server's.
var errNotOurs = program.WithCode(program.ExitUsage, errors.New("it has public keys only, as the file of an API: name the file that the authorization server signs with, and this one by --also"))

// successor makes the new key, of the kind of the newest one if no other is asked for.
func (c *keyRotateCommand) successor(ring *keyring.Ring, now time.Time) (*keyring.Successor, error) {
	keys := slices.DeleteFunc(ring.Keys(), func(k *keyring.Key) bool { return k.Audience != c.API })
	var newest *keyring.Key
	for _, k := range keys {
		if k.SigningKey() != nil && (newest == nil || !k.SignsFrom.Before(newest.SignsFrom)) {
			newest = k
		}
	}
	algorithm := cmp.Or(c.Algorithm, keyring.HS256) // of a file without any key, which Rotate refuses
	switch {
	case newest != nil:
		algorithm = cmp.Or(c.Algorithm, newest.Algorithm)
	case len(keys) > 0:
		return nil, errNotOurs
	}
	signsFrom, retires := now.Add(c.SignsAfter), now.Add(c.SignsAfter+c.Lifetime+clockMargin)
	if c.Compromised {
		signsFrom, retires = now, now
	}
	return keyring.NewSuccessor(algorithm, c.API, signsFrom, retires, rand.Reader)
}

// readRing reads a JWK Set; the error names the file.
func readRing(path string) (*keyring.Ring, error) {
	if _, err := regularFile(path); err != nil {
		return nil, err
	}
	set, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	ring, err := keyring.Parse(set)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return ring, nil
}

// shownKey is a key as list prints it, without what it is made of.
type shownKey struct {
	ID            string        `json:"kid"`
	Algorithm     string        `json:"alg"`
	Audience      string        `json:"aud,omitempty"` // none: tied to no API
	State         keyring.State `json:"state"`
	SignsFrom     *time.Time    `json:"signs_from,omitempty"`
	VerifiesUntil *time.Time    `json:"verifies_until,omitempty"`
}

type keyListCommand struct {
	Path string `arg:"" help:"The JWK Set."`
	JSON bool   `help:"Print JSON."`
}

// Run lists the keys.
func (c *keyListCommand) Run(streams program.Streams) error {
	ring, err := readRing(c.Path)
	if err != nil {
		return exitError("", err)
	}
	now := time.Now()
	keys := each(ring.Keys(), func(k *keyring.Key) shownKey {
		return shownKey{k.ID, k.Algorithm, k.Audience, ring.StateOf(k, now), optional(k.SignsFrom), optional(k.VerifiesUntil)}
	})
	return printList(streams.Out, c.JSON, keys, []any{"KID", "ALG", "API", "STATE", "SIGNS FROM", "VERIFIES UNTIL"}, func(v shownKey) []any {
		return []any{v.ID, v.Algorithm, cmp.Or(v.Audience, "-"), v.State, when(v.SignsFrom), when(v.VerifiesUntil)}
	})
}
