package keyfile_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"

	"github.com/hallpass-auth/hallpass/authserver/internal/keyfile"
)

// pair is the keys file of a server, and that of an API.
type pair struct {
	server, api string
	first       string // kid of the first key
}

func newPair(t *testing.T, now time.Time) pair {
	t.Helper()
	set, err := keyring.Generate(keyring.HS256, now.Add(-time.Hour), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	single, err := keyring.ForAPI(set, "")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	p := pair{server: filepath.Join(folder, "server", "keys.json"), api: filepath.Join(folder, "api", "keys.json")}
	for path, content := range map[string][]byte{p.server: set, p.api: single} {
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := keyfile.Create(path, content); err != nil {
			t.Fatal(err)
		}
	}
	p.first = readRing(t, p.server).Keys()[0].ID
	return p
}

// prepare prepares a rotation, which the caller discards.
func (p pair) prepare(t *testing.T, now time.Time, compromised bool) *keyfile.Prepared {
	t.Helper()
	prepared, err := keyfile.Rotation{
		Path: p.server, Also: []string{p.api}, Lifetime: 30 * time.Minute, Compromised: compromised,
	}.Prepare(now)
	if err != nil {
		t.Fatal(err)
	}
	return prepared
}

// rotate rotates the keys while one of the files cannot be replaced; "" for none.
func (p pair) rotate(t *testing.T, now time.Time, compromised bool, stuck string) error {
	t.Helper()
	prepared := p.prepare(t, now, compromised)
	defer prepared.Discard()
	if stuck == "" {
		return prepared.Write(func(string) {})
	}
	// A folder in its place cannot be replaced by a file, not even by root.
	aside := stuck + ".aside"
	if err := os.Rename(stuck, aside); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(stuck, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	failed := prepared.Write(func(string) {})
	if err := os.RemoveAll(stuck); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(aside, stuck); err != nil {
		t.Fatal(err)
	}
	return failed
}

func readRing(t *testing.T, path string) *keyring.Ring {
	t.Helper()
	ring, err := keyfile.ReadRing(path)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// key returns a key of a file; nil if it has none of this kid.
func key(t *testing.T, path, kid string) *keyring.Key {
	t.Helper()
	for _, k := range readRing(t, path).Keys() {
		if k.ID == kid {
			return k
		}
	}
	return nil
}

// checkServed checks that an API accepts, at all times from now on, what its server signs.
func (p pair) checkServed(t *testing.T, doing string) {
	t.Helper()
	for _, k := range readRing(t, p.server).Keys() {
		if k.ForIDTokens() {
			continue
		}
		known := key(t, p.api, k.ID)
		switch {
		case known == nil:
			t.Errorf("%s: the API lacks %s", doing, k.ID)
		case !known.VerifiesUntil.IsZero() && (k.VerifiesUntil.IsZero() || known.VerifiesUntil.Before(k.VerifiesUntil)):
			t.Errorf("%s: the API refuses %s from %v, the server from %v", doing, k.ID, known.VerifiesUntil, k.VerifiesUntil)
		}
	}
}

// An API never refuses what its server signs because one of the files could not be written, and the next rotation puts
// both in order again.
func TestHalfDoneRotation(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	for _, file := range []string{"server", "api"} {
		t.Run(file, func(t *testing.T) {
			p := newPair(t, now)
			stuck := map[string]string{"server": p.server, "api": p.api}[file]
			if err := p.rotate(t, now, false, stuck); err == nil {
				t.Fatal("a file that cannot be written is no error")
			}
			p.checkServed(t, "after the error")
			later := now.Add(2 * time.Hour)
			if err := p.rotate(t, later, false, ""); err != nil {
				t.Fatal(err)
			}
			p.checkServed(t, "after the next rotation")
			if k := key(t, p.api, p.first); k == nil || k.VerifiesUntil.IsZero() {
				t.Errorf("the first key has no end at the API: %v", k)
			}
		})
	}
}

// Where the previous keys get no end in an API's file, the error says so.
func TestRotationWithoutAnEnd(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	p := newPair(t, now)
	prepared := p.prepare(t, now, false)
	defer prepared.Discard()
	err := prepared.Write(func(path string) {
		if path != p.server {
			return
		}
		if err := os.WriteFile(p.api+".new", nil, 0o600); err != nil { // another command begins
			t.Error(err)
		}
	})
	if err == nil || !strings.Contains(err.Error(), "no end until the next rotation") {
		t.Errorf("got error %v", err)
	}
	if k := key(t, p.server, p.first); k == nil || k.VerifiesUntil.IsZero() {
		t.Errorf("the first key has no end at the server: %v", k)
	}
	p.checkServed(t, "without an end")
}

// Keys that have leaked are replaced everywhere or nowhere, unless an API's file cannot be written. Then the error says
// what to do, and that puts it in order.
func TestHalfDoneReplacementOfLeakedKeys(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	p := newPair(t, now)
	before, err := os.ReadFile(p.api)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.rotate(t, now, true, p.server); err == nil {
		t.Fatal("a file that cannot be written is no error")
	}
	after, err := os.ReadFile(p.api)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the API's file has changed, and the server's has not: %v", err)
	}
	if err := p.rotate(t, now, true, p.api); err == nil || !strings.Contains(err.Error(), "run the command again") {
		t.Errorf("the server's file was written, and the API's was not: got error %v", err)
	}
	if err := p.rotate(t, now, true, ""); err != nil {
		t.Fatal(err)
	}
	p.checkServed(t, "after the command has run again")
	if k := key(t, p.api, p.first); k != nil {
		t.Errorf("the API still has the leaked key, until %v", k.VerifiesUntil)
	}
}

// A file of an API that somebody else has changed meanwhile is not overwritten.
func TestRotationLosesNoChange(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	p := newPair(t, now)
	prepared := p.prepare(t, now, false)
	defer prepared.Discard()
	var changed []byte
	err := prepared.Write(func(path string) {
		if path != p.server {
			return
		}
		content, err := os.ReadFile(p.api)
		if err != nil {
			t.Error(err)
		}
		changed = append(content, '\n')
		if err := os.WriteFile(p.api, changed, 0o600); err != nil {
			t.Error(err)
		}
	})
	if !errors.Is(err, keyfile.ErrBusy) {
		t.Errorf("got error %v", err)
	}
	if content, err := os.ReadFile(p.api); err != nil || !bytes.Equal(content, changed) {
		t.Errorf("the change is lost: %v", err)
	}
}
