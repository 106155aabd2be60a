package e2e_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// doctor runs authserver doctor for the servers of a system.
func (s *system) doctor(t *testing.T, flags ...string) result {
	t.Helper()
	return command(t, "", "authserver", append([]string{
		"doctor", "--database-url", s.database, "--timeout", timeout.String(),
		"--keys-file", s.keysFile, "--issuer", s.authURL, "--audience", s.apiURL}, flags...)...)
}

// A doctor finds nothing to complain of while both programs run, and names each fault of the API.
func TestDoctor(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	got := s.doctor(t, "--json")
	var findings []struct{ Check, Verdict, Found, Advice string }
	if err := json.Unmarshal([]byte(got.stdout), &findings); err != nil || got.code != 0 {
		t.Fatalf("exit code %d, %v:\n%s%s", got.code, err, got.stdout, got.stderr)
	}
	for _, f := range findings {
		if f.Verdict == "failed" || f.Verdict == "warning" {
			t.Errorf("%s: %s: %s", f.Check, f.Verdict, f.Found)
		}
	}
	for _, text := range []string{"eyJ", "hps_"} {
		if strings.Contains(got.stdout+got.stderr, text) {
			t.Errorf("it shows %s", text)
		}
	}
	if users := s.admin(t, "", "user", "list"); strings.Contains(users, "doctor-") {
		t.Errorf("a user is left:\n%s", users)
	}

	s.resourceserver.stop(t)
	other := filepath.Join(t.TempDir(), "other.json")
	mustCommand(t, "", "authserver", "key", "init", other)
	s.startResourceserver(t, "--keys-file", filepath.Join(filepath.Dir(other), "api-other.json"))
	got = s.doctor(t)
	if got.code != 1 || !strings.Contains(got.stdout, "failed   access token") ||
		!strings.Contains(got.stdout, "it does not have the key") {
		t.Errorf("an API with other keys: exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
}
