package server

import (
	"testing"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/statuslist"
)

// source is a keyring.Source that has not got its ring yet.
type source struct{ ring *keyring.Ring }

func (s source) Current() *keyring.Ring { return s.ring }

func TestReadyNeedsKeys(t *testing.T) {
	lists, err := statuslist.Open(t.Context(), statuslist.Config{Keys: source{}, Issuer: "http://127.0.0.1:9000", Audience: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if ready(source{}, lists)(t.Context()) == nil {
		t.Error("ready without a ring")
	}
	ring, err := keyring.FromSecret("0123456789abcdef0123456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	if err := ready(source{ring}, lists)(t.Context()); err != nil {
		t.Errorf("not ready with a ring: %v", err)
	}
}
