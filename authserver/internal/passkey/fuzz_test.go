package passkey_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/passkey"
	"github.com/hallpass-auth/hallpass/authserver/internal/passkey/passkeytest"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
)

// zeros is a source of randomness that makes the same challenge each time.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// fixture is a service without a store, a user with a passkey, and the answers of the device.
type fixture struct {
	service                 *passkey.Service
	user                    account.User
	factor                  secondfactor.Factor
	device                  *passkeytest.Device
	registration, assertion string
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{user: account.User{ID: "user-1", Username: "john", Name: "John"}}
	var err error
	f.service, err = passkey.New(passkey.Config{
		Issuer: "https://Login.example:443", Key: []byte("key of the tests"), Random: zeros{},
		Now: func() time.Time { return time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC) },
	})
	if err != nil {
		t.Fatal(err)
	}
	f.device = passkeytest.New(t, "https://login.example", "login.example")
	options, err := f.service.BeginRegistration(f.user, nil, "browser")
	if err != nil {
		t.Fatal(err)
	}
	f.registration = f.device.Create(options)
	done, err := f.service.Register(f.user, nil, "browser", f.registration, " Phone ")
	if err != nil {
		t.Fatal(err)
	}
	f.factor = *done.NewFactor
	if options, err = f.service.BeginSecondStep(f.user, []secondfactor.Factor{f.factor}, "browser"); err != nil {
		t.Fatal(err)
	}
	f.assertion = f.device.Get(options)
	return f
}

// isKnown reports whether an answer may be refused with an error.
func isKnown(err error) bool {
	return errors.Is(err, account.ErrPasskey) || errors.Is(err, passkey.ErrExpired) ||
		errors.Is(err, passkey.ErrRegistered) || errors.Is(err, account.ErrBadName)
}

// An answer is refused with an error of the package, or it is signed by the passkey for the challenge.
func FuzzSecondStep(f *testing.F) {
	x := newFixture(f)
	for _, seed := range []string{x.assertion, x.registration, "", "{}", strings.Repeat("[", 1000), "\xff"} {
		f.Add(seed)
	}
	var want struct {
		Response struct{ ClientDataJSON string }
	}
	if err := json.Unmarshal([]byte(x.assertion), &want); err != nil {
		f.Fatal(err)
	}
	accepted, err := x.service.SecondStep(f.Context(), x.user, []secondfactor.Factor{x.factor}, "browser", x.assertion)
	if err != nil || accepted.UsedFactor.LastStep != 2 {
		f.Fatalf("the seed is not accepted: %+v, %v", accepted, err)
	}
	f.Fuzz(func(t *testing.T, answer string) {
		done, err := x.service.SecondStep(t.Context(), x.user, []secondfactor.Factor{x.factor}, "browser", answer)
		if err != nil {
			if !isKnown(err) {
				t.Errorf("an unknown error: %v", err)
			}
			return
		}
		if !bytes.Contains([]byte(answer), []byte(want.Response.ClientDataJSON)) || done.Challenge != accepted.Challenge ||
			done.UsedFactor.Secret != accepted.UsedFactor.Secret || done.UsedFactor.LastStep != 2 {
			t.Errorf("accepted %q: %+v", answer, done)
		}
	})
}

// A registration is refused with an error of the package, or it is to the challenge, and can be used.
func FuzzRegister(f *testing.F) {
	x := newFixture(f)
	for _, seed := range []string{x.registration, x.assertion, "", "{}", strings.Repeat("[", 1000), "\xff"} {
		f.Add(seed, "Phone")
	}
	f.Fuzz(func(t *testing.T, answer, name string) {
		done, err := x.service.Register(x.user, nil, "browser", answer, name)
		if err != nil {
			if !isKnown(err) {
				t.Errorf("an unknown error: %v", err)
			}
			return
		}
		if done.NewFactor.UserID != x.user.ID || done.Challenge.Digest == "" || len(done.NewFactor.Secret) > 8<<10 ||
			done.NewFactor.LastStep < 0 || done.NewFactor.Name != strings.TrimSpace(done.NewFactor.Name) {
			t.Errorf("accepted %q: %+v", answer, done)
		}
		if _, err := x.service.BeginSecondStep(x.user, []secondfactor.Factor{*done.NewFactor}, "browser"); err != nil {
			t.Errorf("it cannot be used: %v", err)
		}
	})
}

// What is stored has the name that the user gave, and no transport that is not known.
func TestRegistered(t *testing.T) {
	t.Parallel()
	x := newFixture(t)
	if x.factor.Name != "Phone" || x.factor.LastStep != 1 || x.factor.Kind != secondfactor.KindPasskey {
		t.Errorf("%+v", x.factor)
	}
	if !strings.Contains(x.factor.Secret, `"transports":["internal","hybrid"]`) {
		t.Errorf("stored %s", x.factor.Secret)
	}
	if passkey.IsCopied(x.factor) || passkey.IsCopied(secondfactor.Factor{}) {
		t.Error("it is no copy")
	}
}
