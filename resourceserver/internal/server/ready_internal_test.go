package server

import (
	"testing"

	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// source is a keyring.Source that has not got its ring yet.
type source struct{ ring *keyring.Ring }

func (s source) Current() *keyring.Ring { return s.ring }

func TestReadyNeedsKeys(t *testing.T) {
	if ready(source{})(t.Context()) == nil {
		t.Error("ready without a ring")
	}
	ring, err := keyring.FromSecret("0123456789abcdef0123456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	if err := ready(source{ring})(t.Context()); err != nil {
		t.Errorf("not ready with a ring: %v", err)
	}
}
