package e2e_test

import (
	"encoding/json"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// keyOf returns the kid of a token.
func keyOf(t *testing.T, accessToken string) string {
	t.Helper()
	parsed, _, err := jwt.NewParser().ParseUnverified(accessToken, jwt.MapClaims{})
	if err != nil {
		t.Fatal(err)
	}
	kid, _ := parsed.Header["kid"].(string)
	return kid
}

// One command rotates a key under load: nothing restarts, no login or API call fails, and
// tokens of the previous key stay valid.
func TestRotationLosesNoRequest(t *testing.T) {
	longTest(t)
	t.Parallel()
	s := startDemo(t)
	old := s.login(t, "john.doe", demoPassword)
	var done atomic.Bool
	var calls atomic.Int64
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for !done.Load() {
				login, err := try(t.Context(), s.authURL, form("username", "john.doe", "password", demoPassword))
				var fresh struct {
					AccessToken string `json:"access_token"`
				}
				if err != nil || login.status != http.StatusOK || json.Unmarshal([]byte(login.body), &fresh) != nil {
					t.Errorf("a login got %d %s (%v)", login.status, login.body, err)
					return
				}
				for what, token := range map[string]string{"the old token": old, "a new token": fresh.AccessToken} {
					call, err := try(t.Context(), s.apiURL, get("/users/me", "Bearer "+token))
					if err != nil || call.status != http.StatusOK {
						t.Errorf("a call with %s got %d %s (%v)", what, call.status, call.body, err)
						return
					}
				}
				calls.Add(2)
			}
		})
	}
	waitFor(t, "load", func() bool { return calls.Load() > 20 }, s.authserver, s.resourceserver)
	mustCommand(t, "", "authserver", "key", "rotate", s.keysFile, "--signs-after", "5s")
	waitFor(t, "the new key to sign", func() bool {
		return keyOf(t, s.login(t, "jane.smith", "anothersecurepass")) != keyOf(t, old)
	}, s.authserver)
	before := calls.Load()
	waitFor(t, "calls with tokens of the new key", func() bool { return calls.Load() > before+20 }, s.resourceserver)
	done.Store(true)
	load.Wait()
	s.callMe(t, old, "John Doe")
}

// Rotating a compromised key makes all tokens invalid that it has signed.
func TestRotationOfACompromisedKey(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	old := s.login(t, "john.doe", demoPassword)
	s.callMe(t, old, "John Doe")
	mustCommand(t, "", "authserver", "key", "rotate", s.keysFile, "--compromised")
	waitFor(t, "the old key to be refused", func() bool {
		return send(t, s.apiURL, get("/users/me", "Bearer "+old)).status == http.StatusUnauthorized
	}, s.resourceserver)
	waitFor(t, "the new key to be in use", func() bool {
		fresh := s.login(t, "john.doe", demoPassword)
		return keyOf(t, fresh) != keyOf(t, old) &&
			send(t, s.apiURL, get("/users/me", "Bearer "+fresh)).status == http.StatusOK
	}, s.authserver, s.resourceserver)
}
