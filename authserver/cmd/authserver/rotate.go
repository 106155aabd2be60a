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

// clockMargin is how much longer a key verifies than its last token is valid. It is the clock skew
// that verifiers allow.
const clockMargin = time.Minute

type keyRotateCommand struct {
	Path        string         `arg:"" help:"JWK Set of the authorization server."`
	Also        []string       `placeholder:"PATH" sep:"none" help:"JWK Set of an API, created by 'key export' or 'api add', to update with it. It gets no private key. Repeat for more."`
	API         string         `name:"api" placeholder:"AUDIENCE" help:"Rotate the secret of this API. By default, the key for all other APIs is rotated."`
	Algorithm   string         `enum:",HS256,EdDSA,ES256,RS256" default:"" help:"Algorithm of the new key. Defaults to that of the current key."`
	SignsAfter  *time.Duration `help:"Time until the new key signs. Every server and API must read it before. Defaults to 5m for HS256, whose keys are in files, and to 20m for the other algorithms, since libraries cache published keys for up to 15 minutes."`
	Lifetime    time.Duration  `name:"access-token-lifetime" env:"HALLPASS_ACCESS_TOKEN_LIFETIME" default:"30m" help:"Lifetime of access tokens, as set for serve. The previous keys verify until their last token has expired (${default})."`
	Later       bool           `help:"Rotate without --also. Run 'key export' for the API's file before the new key signs."`
	Compromised bool           `help:"The previous keys have leaked: the new key signs at once, and all issued tokens become invalid."`
}

// Validate checks the flags. kong calls it before Run.
func (c *keyRotateCommand) Validate() error {
	if c.SignsAfter != nil && *c.SignsAfter < 0 || c.Lifetime < 0 {
		return errors.New("--signs-after and --access-token-lifetime (HALLPASS_ACCESS_TOKEN_LIFETIME) must not be negative")
	}
	return nil
}

// Run adds the key. It writes the files of APIs first, so that they know the key before it signs.
func (c *keyRotateCommand) Run(streams program.Streams) error {
	var files []*replacement
	for _, path := range append(slices.Clone(c.Also), c.Path) {
		file, err := startReplacement(path)
		if err != nil {
			return unchanged(err)
		}
		defer file.discard()
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
	fmt.Fprintf(streams.Out, "key %s (%s) signs from %s; previous keys verify until %s\n",
		next.ID, next.Algorithm, next.SignsFrom.UTC().Format(time.RFC3339), next.Retires.UTC().Format(time.RFC3339))
	return nil
}

// unchanged wraps an error that occurs before anything is written.
func unchanged(err error) error { return exitError("", fmt.Errorf("nothing was changed: %w", err)) }

// rotate returns the new key and the new content of each file. The last file is that of the
// authorization server; the others get no private key.
func (c *keyRotateCommand) rotate(
	files []*replacement,
	now time.Time,
) (next *keyring.Successor, rotated [][]byte, err error) {
	own := len(files) - 1
	ring, err := keyring.Parse(files[own].content)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", files[own].path, err)
	}
	if next, err = c.successor(ring, now); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", files[own].path, err)
	}
	_, several := ring.BoundToOther("")
	if several && next.Algorithm == keyring.HS256 && len(c.Also) == 0 && !c.Later {
		return nil, nil, errSeveralAPIs
	}
	public, err := next.ForAPI()
	if err != nil {
		return nil, nil, err
	}
	for i, file := range files {
		successor := public
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

// errSeveralAPIs means that the API would not get the key that it verifies with.
var errSeveralAPIs = program.WithCode(program.ExitUsage, errors.New(
	"the file has secrets of several APIs, so each API has a file of its own and would reject tokens of a key "+
		"that is not in it: pass the API's file with --also PATH, "+
		"or pass --later and run 'key export' before the new key signs"))

// errPublicOnly means that a file is that of an API and not of the authorization server.
var errPublicOnly = program.WithCode(program.ExitUsage, errors.New(
	"the file has only public keys, like the file of an API: "+
		"give the file that the authorization server signs with, and pass this one with --also"))

// successor returns the new key. Its algorithm defaults to that of the newest key.
func (c *keyRotateCommand) successor(ring *keyring.Ring, now time.Time) (*keyring.Successor, error) {
	keys := slices.DeleteFunc(ring.Keys(), func(k *keyring.Key) bool { return k.Audience != c.API })
	var newest *keyring.Key
	for _, k := range keys {
		if k.SigningKey() != nil && (newest == nil || !k.SignsFrom.Before(newest.SignsFrom)) {
			newest = k
		}
	}
	algorithm := cmp.Or(c.Algorithm, keyring.HS256) // for a file without keys, which Rotate rejects
	switch {
	case newest != nil:
		algorithm = cmp.Or(c.Algorithm, newest.Algorithm)
	case len(keys) > 0:
		return nil, errPublicOnly
	}
	delay := keyring.SigningDelay(algorithm)
	if c.SignsAfter != nil {
		delay = *c.SignsAfter
	}
	signsFrom, retires := now.Add(delay), now.Add(delay+c.Lifetime+clockMargin)
	if c.Compromised {
		signsFrom, retires = now, now
	}
	return keyring.NewSuccessor(algorithm, c.API, signsFrom, retires, rand.Reader)
}

// readRing reads a JWK Set. Its errors name the file.
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

// shownKey is a key as the command prints it, without its secret.
type shownKey struct {
	ID            string        `json:"kid"`
	Algorithm     string        `json:"alg"`
	Audience      string        `json:"aud,omitempty"` // empty for a key of no particular API
	State         keyring.State `json:"state"`
	SignsFrom     *time.Time    `json:"signs_from,omitempty"`
	VerifiesUntil *time.Time    `json:"verifies_until,omitempty"`
}

type keyListCommand struct {
	Path string `arg:"" help:"JWK Set to list."`
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
		return shownKey{
			ID:            k.ID,
			Algorithm:     k.Algorithm,
			Audience:      k.Audience,
			State:         ring.StateOf(k, now),
			SignsFrom:     optional(k.SignsFrom),
			VerifiesUntil: optional(k.VerifiesUntil),
		}
	})
	header := []any{"KID", "ALG", "API", "STATE", "SIGNS FROM", "VERIFIES UNTIL"}
	return printList(streams.Out, c.JSON, keys, header, func(v shownKey) []any {
		from, until := formatTime(v.SignsFrom), formatTime(v.VerifiesUntil)
		return []any{v.ID, v.Algorithm, cmp.Or(v.Audience, "-"), v.State, from, until}
	})
}
