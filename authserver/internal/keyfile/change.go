package keyfile

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// change is what a rotation changes.
type change struct {
	// keys are the new keys.
	keys []*keyring.Successor
	// contents are the new contents of the files.
	contents [][]byte
	// announced are contents of the files that have the new keys besides all earlier ones.
	announced [][]byte
	// uncovered are the new keys that an API's file needs and that are in none of the files.
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
func (c Rotation) rotate(files []*Replacement, now time.Time) (r change, err error) {
	server := files[len(files)-1]
	ring, err := keyring.Parse(server.content)
	if err == nil && keyring.IsExport(server.content) {
		err = ErrExport
	}
	if err != nil {
		return change{}, fmt.Errorf("%s: %w", server.path, err)
	}
	if c.IDTokens && !ring.HasIDTokenKey(keyring.IDTokenAlgorithm(c.API)) {
		return r, r.addIDTokenKey(server.content, keyring.IDTokenAlgorithm(c.API), c.SignsAfter, now)
	}
	for _, audience := range c.audiences(ring) {
		one := c
		one.API = audience
		next, err := one.successor(ring, now)
		if err != nil {
			return change{}, InFile(server.path, err)
		}
		r.keys = append(r.keys, next)
	}
	_, several := ring.BoundToOther("")
	private := ring.HasIDTokenKey(keyring.RS256)
	isSecret := func(k *keyring.Successor) bool { return k.Algorithm == keyring.HS256 }
	secrets := slices.ContainsFunc(r.keys, isSecret)
	switch alone := len(files) == 1 && !c.Later; {
	case several && secrets && alone:
		return change{}, ErrSeveralAPIs
	case private && secrets && alone:
		return change{}, ErrOwnFile
	}
	if several || private {
		r.uncovered = slices.DeleteFunc(slices.Clone(r.keys), (*keyring.Successor).ForIDTokens)
	}
	for _, file := range files {
		if err := r.add(file, file == server, now); err != nil {
			return change{}, InFile(file.path, err)
		}
	}
	return r, c.complete(&r, ring, now)
}

// complete adds a key for ID tokens to the server's file, if it has none. Then the default API needs a file
// without it: one is created unless there is one, or the operator makes it later.
func (c Rotation) complete(r *change, ring *keyring.Ring, now time.Time) error {
	if c.API != "" || ring.HasIDTokenKey(keyring.RS256) {
		return nil
	}
	set := r.contents[len(r.contents)-1]
	_, several := ring.BoundToOther("")
	switch needs := !several && HasSharedSecret(ring) && len(r.contents) == 1; {
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
func (r *change) addIDTokenKey(set []byte, algorithm string, delay *time.Duration, now time.Time) error {
	signsFrom := now.Add(keyring.SigningDelay(algorithm))
	if delay != nil {
		signsFrom = now.Add(*delay)
	}
	set, key, err := keyring.AddIDTokenKey(set, algorithm, signsFrom, rand.Reader)
	r.contents, r.added = append(r.contents, set), append(r.added, key)
	return err
}

// audiences returns the audiences whose keys are replaced.
func (c Rotation) audiences(ring *keyring.Ring) (all []string) {
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

// add adds the contents of a file with those new keys that replace one in it: all of them for the server's file, and at
// least one without its private half for an API's.
func (r *change) add(file *Replacement, isServer bool, now time.Time) error {
	ring, err := keyring.Parse(file.content)
	if err != nil {
		return err
	}
	set, announced := file.content, file.content
	for i, next := range r.keys {
		replaces := slices.ContainsFunc(ring.Keys(), func(k *keyring.Key) bool { return k.Audience == next.Audience })
		last := i == len(r.keys)-1 && bytes.Equal(set, file.content) // must fail rather than change nothing
		if !replaces && !last {
			continue
		}
		if !isServer {
			r.uncovered = slices.DeleteFunc(r.uncovered, func(k *keyring.Successor) bool { return k == next })
			if next, err = next.ForAPI(); err != nil {
				return err
			}
		}
		if announced, err = keyring.Announce(announced, next); err != nil {
			return err
		}
		if set, err = keyring.Rotate(set, next, now); err != nil {
			return err
		}
	}
	r.contents, r.announced = append(r.contents, set), append(r.announced, announced)
	return nil
}

// successor returns the new key. Its algorithm defaults to that of the newest key.
func (c Rotation) successor(ring *keyring.Ring, now time.Time) (*keyring.Successor, error) {
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
		return nil, ErrPublicOnly
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
