package console_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"

	"github.com/hallpass-auth/hallpass/authserver/internal/server"
)

// newSiteWithKeys starts a site whose key is in a file.
func newSiteWithKeys(t *testing.T, change ...func(*server.Settings)) *site {
	t.Helper()
	start := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC) // of the clock of sites
	set, err := keyring.Generate(keyring.EdDSA, start, strings.NewReader(strings.Repeat("x", 1000)))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(path, set, 0o600); err != nil {
		t.Fatal(err)
	}
	return newSite(t, append(change, func(c *server.Settings) { c.Keys.KeysFile = path })...)
}

// A key is rotated: the page shows the schedule, and no secret.
func TestRotateKey(t *testing.T) {
	t.Parallel()
	s := newSiteWithKeys(t)
	b := s.logIn("ada")
	if got := b.get("/admin/keys"); !got.has("EdDSA") || !got.has("signing") || got.has("waiting") || got.has(`"d"`) {
		t.Errorf("%s", got.body)
	}
	seen := b.get("/admin/keys/rotate").field("seen")
	b.post("/admin/keys/rotate", "seen", seen, "what", "access").went(t, "/admin/keys?done=rotated")
	if got := b.get("/admin/keys?done=rotated"); !got.has("waiting") || !got.has("The new key is scheduled.") {
		t.Errorf("%s", got.body)
	}
	keys := func() int { return strings.Count(b.get("/admin/keys").body, `<th scope="row"`) }
	before := keys()
	b.post("/admin/keys/rotate", "seen", seen, "what", "access").
		refused(t, http.StatusPreconditionFailed, "keys were changed")
	if after := keys(); after != before {
		t.Errorf("%d keys, then %d: the form that was sent twice has rotated twice", before, after)
	}
}

// A server that other machines share keys with says which command rotates them.
func TestRotateElsewhere(t *testing.T) {
	t.Parallel()
	s := newSiteWithKeys(t, func(c *server.Settings) { c.Database.DatabaseURL = "postgres://database.example/hallpass" })
	b := s.logIn("ada")
	seen := b.get("/admin/keys/rotate").field("seen")
	got := b.post("/admin/keys/rotate", "seen", seen, "what", "id", "compromised", "yes")
	got.refused(t, http.StatusConflict, "run 'authserver key rotate ")
	if !got.has("keys.json --id-tokens --compromised'") || !strings.Contains(got.body, "checked") {
		t.Errorf("%s", got.body)
	}
}

// An old key is told on its page and on the overview.
func TestOldKey(t *testing.T) {
	t.Parallel()
	s := newSiteWithKeys(t)
	b := s.logIn("ada")
	for _, path := range []string{"/admin", "/admin/keys"} {
		if got := b.get(path); got.has("Rotate it.") {
			t.Errorf("%s says so of a new key:\n%s", path, got.body)
		}
	}
	s.pass(91 * 24 * time.Hour)
	b = s.logIn("ada")
	for _, path := range []string{"/admin", "/admin/keys"} {
		if got := b.get(path); got.status != http.StatusOK || !got.has("Rotate it.") {
			t.Errorf("%s: %d\n%s", path, got.status, got.body)
		}
	}
}
