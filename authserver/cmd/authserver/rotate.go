package main

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/program"
)

// clockMargin is how much longer a key verifies than its last token is valid. It is the clock skew
// that verifiers allow.
const clockMargin = time.Minute

type keyRotateCommand struct {
	apiKeys     `embed:""`
	Path        string         `arg:"" help:"JWK Set of the authorization server."`
	Also        []string       `placeholder:"PATH" sep:"none" help:"JWK Set of an API, created by 'key export' or 'api add', to update with it. It gets no private key. Repeat for more."`
	API         string         `name:"api" placeholder:"AUDIENCE" help:"Rotate the secret of this API. By default, the key for all other APIs is rotated."`
	IDTokens    bool           `name:"id-tokens" help:"Rotate the key that signs ID tokens, which no API has: that of --algorithm, by default RS256. Adds one if the file has no such key."`
	Algorithm   string         `enum:",HS256,EdDSA,ES256,RS256" default:"" help:"Algorithm of the new key. Defaults to that of the current key."`
	SignsAfter  *time.Duration `help:"Time until the new key signs. Every server and API must have it by then. Defaults to 5m for HS256, whose keys are in files, and to 20m for other algorithms, because libraries cache published keys for up to 15 minutes."`
	Lifetime    time.Duration  `name:"access-token-lifetime" env:"HALLPASS_ACCESS_TOKEN_LIFETIME" default:"30m" help:"Lifetime of access tokens, as set for serve. The previous keys verify until their last token has expired (${default})."`
	Later       bool           `help:"Rotate without --also. Run 'key export' for the API's file before the new key signs."`
	Compromised bool           `help:"The previous keys have leaked: the new keys sign at once, and all issued access tokens become invalid. Without --api, all keys of the file are replaced, also those of single APIs."`
}

// Help explains who has to do something.
func (c *keyRotateCommand) Help() string {
	return `No server restarts. Servers read their files again within seconds, and --keys-url within a minute.
A file of an API gets the new key if it is named with --also. That of the default API is found by its name, see
--api-keys-file. The command says which APIs do not get the key.
A file without a key for ID tokens gets one, and the default API a file of its own, if it has none.

The new key signs after --signs-after, so that every API knows it by then:
5 minutes for HS256, in which the file must reach other machines;
20 minutes for EdDSA, ES256 and RS256, because an API may use a library that fetches the published keys
again only after 15 minutes.`
}

// Validate checks the flags. kong calls it before Run.
func (c *keyRotateCommand) Validate() error {
	if c.SignsAfter != nil && *c.SignsAfter < 0 || c.Lifetime < 0 {
		return errors.New("--signs-after and --access-token-lifetime (HALLPASS_ACCESS_TOKEN_LIFETIME) must not be negative")
	}
	if c.SignsAfter != nil && c.Compromised {
		return errors.New("--compromised makes the new keys sign at once: leave out --signs-after")
	}
	if c.IDTokens && (c.API != "" || len(c.Also) > 0 || c.Algorithm == keyring.HS256) {
		return errors.New("--id-tokens is about keys that no API has: leave out --api and --also, " +
			"and set --algorithm to RS256, ES256 or EdDSA")
	}
	return nil
}

// Run adds the keys.
func (c *keyRotateCommand) Run(streams program.Streams) error {
	p, err := c.prepare()
	if err != nil {
		return unchanged(err)
	}
	defer p.discard()
	return p.write(streams)
}

// preparedRotation is a rotation that is written by write. No other command can change its files meanwhile.
type preparedRotation struct {
	command *keyRotateCommand
	files   []*replacement
	rotation
}

// prepare makes the new keys, and changes nothing. The caller must call discard.
func (c *keyRotateCommand) prepare() (*preparedRotation, error) {
	if c.IDTokens {
		c.API = keyring.IDTokenAudience(cmp.Or(c.Algorithm, keyring.RS256))
	}
	p := &preparedRotation{command: c}
	paths, err := c.paths()
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		file, err := startReplacement(path)
		if err != nil {
			p.discard()
			return nil, err
		}
		p.files = append(p.files, file)
	}
	if p.rotation, err = c.rotate(p.files, time.Now()); err != nil {
		p.discard()
		return nil, err
	}
	return p, nil
}

// discard removes what prepare has made. It does nothing after write has succeeded.
func (p *preparedRotation) discard() {
	for _, file := range p.files {
		file.discard()
	}
}

// write writes the files of APIs first, so that they know a key before it signs.
func (p *preparedRotation) write(streams program.Streams) error {
	c := p.command
	if p.created != nil {
		if err := writeNew(c.path(c.Path), p.created); err != nil {
			return unchanged(err)
		}
		fmt.Fprintf(streams.Out, "%s: created\n", c.path(c.Path))
	}
	for i, file := range p.files {
		if err := file.replace(p.contents[i]); err != nil {
			return err
		}
		fmt.Fprintf(streams.Out, "%s: rotated\n", file.path)
	}
	for _, next := range append(p.keys, p.added...) {
		fmt.Fprintln(streams.Out, describeSuccessor(next))
	}
	fmt.Fprint(streams.Err, c.note(p.rotation))
	return nil
}

// paths returns the files to change: those of APIs, and last that of the authorization server.
func (c *keyRotateCommand) paths() ([]string, error) {
	paths := append(slices.Clone(c.Also), c.Path)
	if err := distinct(paths); err != nil || c.API != "" {
		return paths, err
	}
	api, err := c.existing(c.Path)
	if err != nil || api == "" || distinct(append(paths, api)) != nil {
		return paths, err
	}
	return append([]string{api}, paths...), nil
}

// distinct returns an error if two paths lead to the same file.
func distinct(paths []string) error {
	var infos []fs.FileInfo
	for _, path := range paths {
		info, err := regularFile(path)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(infos, func(other fs.FileInfo) bool { return os.SameFile(info, other) }) {
			return program.WithCode(program.ExitUsage,
				fmt.Errorf("%s is named twice: --also is for the files of APIs, beside that of the server", path))
		}
		infos = append(infos, info)
	}
	return nil
}

// describeSuccessor says what a new key is and when it signs.
func describeSuccessor(next *keyring.Successor) string {
	of := next.Algorithm
	switch {
	case next.ForIDTokens():
		of += ", ID tokens"
	case next.Audience != "":
		of += ", " + next.Audience
	}
	if next.Retires.IsZero() { // it is the first
		return fmt.Sprintf("key %s (%s) signs from %s", next.ID, of, next.SignsFrom.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("key %s (%s) signs from %s; previous keys verify until %s", next.ID, of,
		next.SignsFrom.UTC().Format(time.RFC3339), next.Retires.UTC().Format(time.RFC3339))
}

// note says what was ended and which APIs do not get the new keys by themselves.
func (c *keyRotateCommand) note(r rotation) string {
	var note strings.Builder
	if c.Compromised {
		note.WriteString("ended all access tokens of the previous keys, as soon as the servers have read the files; " +
			"apps with a refresh token get new ones\n")
	} else {
		note.WriteString("ended no login\n")
	}
	for _, next := range r.uncovered {
		who, flag := "the default API", ""
		if next.Audience != "" {
			who, flag = next.Audience, " --api "+next.Audience
		}
		if next.Algorithm != keyring.HS256 {
			who += ", unless it has --keys-url,"
		}
		fmt.Fprintf(&note, "note: %s has a file of its own, which did not get the new key, and refuses its tokens "+
			"from %s: run 'authserver key export%s %s NEW' and put NEW in the place of that file; "+
			"the API reads it within seconds\n",
			who, next.SignsFrom.UTC().Format(time.RFC3339), flag, c.Path)
	}
	const private = "note: %s now has a private key, for ID tokens, which the API must not have: "
	if r.created != nil {
		fmt.Fprintf(&note, private+"restart the API with --keys-file %s (HALLPASS_KEYS_FILE)\n", c.Path, c.path(c.Path))
	}
	if r.exportLater {
		fmt.Fprintf(&note, private+"run 'authserver key export %s NEW' and restart the API with --keys-file NEW "+
			"(HALLPASS_KEYS_FILE)\n", c.Path, c.Path)
	}
	if len(r.uncovered) == 0 {
		note.WriteString("note: no server has to restart; " +
			"copies of these files on other machines do not change by themselves\n")
	}
	return note.String()
}

// unchanged wraps an error that occurs before anything is written.
func unchanged(err error) error { return exitError("", fmt.Errorf("nothing was changed: %w", err)) }

// rotation is what a rotation changes.
type rotation struct {
	// keys are the new keys.
	keys []*keyring.Successor
	// contents are the new contents of the files.
	contents [][]byte
	// uncovered are the new keys that an API's file needs and that are in no file of --also.
	uncovered []*keyring.Successor
	// added is the first key for ID tokens, if the server's file had none.
	added []*keyring.Successor
	// created is the content of a new file for the default API; nil if it has one or needs none.
	created []byte
	// exportLater says that the operator has to make that file.
	exportLater bool
}

// rotate returns the new keys and the new content of each file. The last file is that of the
// authorization server; the others get no private key.
func (c *keyRotateCommand) rotate(files []*replacement, now time.Time) (r rotation, err error) {
	server := files[len(files)-1]
	ring, err := keyring.Parse(server.content)
	if err == nil && keyring.IsExport(server.content) {
		err = errExport
	}
	if err != nil {
		return rotation{}, fmt.Errorf("%s: %w", server.path, err)
	}
	if c.IDTokens && !ring.HasIDTokenKey(keyring.IDTokenAlgorithm(c.API)) {
		return r, r.addIDTokenKey(server.content, keyring.IDTokenAlgorithm(c.API), c.SignsAfter, now)
	}
	for _, audience := range c.audiences(ring) {
		one := *c
		one.API = audience
		next, err := one.successor(ring, now)
		if err != nil {
			return rotation{}, inFile(server.path, err)
		}
		r.keys = append(r.keys, next)
	}
	_, several := ring.BoundToOther("")
	private := ring.HasIDTokenKey(keyring.RS256)
	isSecret := func(k *keyring.Successor) bool { return k.Algorithm == keyring.HS256 }
	secrets := slices.ContainsFunc(r.keys, isSecret)
	switch alone := len(files) == 1 && !c.Later; {
	case several && secrets && alone:
		return rotation{}, errSeveralAPIs
	case private && secrets && alone:
		return rotation{}, errOwnFile
	}
	if several || private {
		r.uncovered = slices.DeleteFunc(slices.Clone(r.keys), (*keyring.Successor).ForIDTokens)
	}
	for _, file := range files {
		set, err := r.add(file, file == server, now)
		if err != nil {
			return rotation{}, inFile(file.path, err)
		}
		r.contents = append(r.contents, set)
	}
	return r, c.complete(&r, ring, now)
}

// complete adds a key for ID tokens to the server's file, if it has none. Then the default API needs a file
// without it: one is created unless there is one, or the operator makes it later.
func (c *keyRotateCommand) complete(r *rotation, ring *keyring.Ring, now time.Time) error {
	if c.API != "" || ring.HasIDTokenKey(keyring.RS256) {
		return nil
	}
	set := r.contents[len(r.contents)-1]
	_, several := ring.BoundToOther("")
	switch needs := !several && hasSharedSecret(ring) && len(r.contents) == 1; {
	case needs && c.Later:
		r.exportLater = true
	case needs:
		var err error
		if r.created, err = keyring.ForAPI(set, ""); err != nil {
			return err
		}
	}
	r.contents = r.contents[:len(r.contents)-1]
	return r.addIDTokenKey(set, keyring.RS256, nil, now)
}

// addIDTokenKey adds the first key for ID tokens of an algorithm to the server's file. It signs after the
// given delay, or if that is nil, as soon as programs that cache the published keys know it.
func (r *rotation) addIDTokenKey(set []byte, algorithm string, delay *time.Duration, now time.Time) error {
	signsFrom := now.Add(keyring.SigningDelay(algorithm))
	if delay != nil {
		signsFrom = now.Add(*delay)
	}
	set, key, err := keyring.AddIDTokenKey(set, algorithm, signsFrom, rand.Reader)
	r.contents, r.added = append(r.contents, set), append(r.added, key)
	return err
}

// audiences returns the audiences whose keys are replaced.
func (c *keyRotateCommand) audiences(ring *keyring.Ring) (all []string) {
	if !c.Compromised || c.API != "" {
		return []string{c.API}
	}
	for _, k := range ring.Keys() {
		ends := !k.VerifiesUntil.IsZero() // it was replaced, or its API was deleted
		if k.SigningKey() != nil && !ends && !slices.Contains(all, k.Audience) {
			all = append(all, k.Audience)
		}
	}
	if len(all) == 0 {
		return []string{""} // fails with the reason
	}
	// Keys for ID tokens come first: an API's file must get one of the others.
	slices.SortStableFunc(all, func(a, b string) int {
		return cmp.Compare(keyring.IDTokenAlgorithm(b), keyring.IDTokenAlgorithm(a))
	})
	return all
}

// add returns the content of a file with those new keys that replace one in it: all of them for the
// server's file, and at least one without its private half for an API's.
func (r *rotation) add(file *replacement, isServer bool, now time.Time) ([]byte, error) {
	ring, err := keyring.Parse(file.content)
	if err != nil {
		return nil, err
	}
	set := file.content
	for i, next := range r.keys {
		replaces := slices.ContainsFunc(ring.Keys(), func(k *keyring.Key) bool { return k.Audience == next.Audience })
		last := i == len(r.keys)-1 && bytes.Equal(set, file.content) // must fail rather than change nothing
		if !replaces && !last {
			continue
		}
		if !isServer {
			r.uncovered = slices.DeleteFunc(r.uncovered, func(k *keyring.Successor) bool { return k == next })
			if next, err = next.ForAPI(); err != nil {
				return nil, err
			}
		}
		if set, err = keyring.Rotate(set, next, now); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// errSeveralAPIs means that the API would not get the key that it verifies with.
var errSeveralAPIs = program.WithCode(program.ExitUsage, errors.New(
	"the file has secrets of several APIs, so each API has a file of its own and would reject tokens of a key "+
		"that is not in it: pass the API's file with --also PATH, "+
		"or pass --later and run 'key export' before the new key signs"))

// errOwnFile means that the API has a file of its own, which would not get the new key.
var errOwnFile = program.WithCode(program.ExitUsage, errors.New(
	"the file has a private key for ID tokens, so the API has a file of its own and would reject tokens of a key "+
		"that is not in it: pass the API's file with --also PATH, "+
		"or pass --later and run 'key export' before the new key signs"))

// errExport means that a file was made for an API, which the authorization server does not read.
var errExport = program.WithCode(program.ExitUsage, errors.New(
	"the file was made for an API by 'key export' or 'api add': "+
		"give the file that the authorization server signs with, and pass this one with --also"))

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
	switch {
	case len(keys) == 0:
		return nil, fmt.Errorf("%w for %s", keyring.ErrNoKey, cmp.Or(c.API, "the default API"))
	case newest == nil:
		return nil, errPublicOnly
	}
	algorithm := cmp.Or(keyring.IDTokenAlgorithm(c.API), c.Algorithm, newest.Algorithm)
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

// inFile adds the name of the file to an error about its keys.
func inFile(path string, err error) error {
	if errors.Is(err, keyring.ErrNoKey) {
		return fmt.Errorf("%s: %w: 'authserver key list %s' shows its keys", path, err, path)
	}
	return fmt.Errorf("%s: %w", path, err)
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
	IDTokens      bool          `json:"id_tokens,omitempty"`
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
			Audience:      audienceOf(k),
			IDTokens:      k.ForIDTokens(),
			State:         ring.StateOf(k, now),
			SignsFrom:     optional(k.SignsFrom),
			VerifiesUntil: optional(k.VerifiesUntil),
		}
	})
	header := []any{"KID", "ALG", "API", "STATE", "SIGNS FROM", "VERIFIES UNTIL"}
	return printList(streams.Out, c.JSON, keys, header, func(v shownKey) []any {
		from, until := formatTime(v.SignsFrom), formatTime(v.VerifiesUntil)
		of := cmp.Or(v.Audience, "-")
		if v.IDTokens {
			of = "ID tokens"
		}
		return []any{v.ID, v.Algorithm, of, v.State, from, until}
	})
}

// audienceOf returns the API that a key is bound to; empty if it is bound to none.
func audienceOf(k *keyring.Key) string {
	if k.ForIDTokens() {
		return ""
	}
	return k.Audience
}
