package keymetrics_test

import (
	"crypto/rand"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/hallpass-auth/hallpass/shared/keymetrics"
	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// A source that has not read its keys yet says so. A secret, which nothing reads, has no metrics.
func TestNew(t *testing.T) {
	source, err := keyring.NewURL("https://login.test/jwks.json", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(keymetrics.New(source)...)
	const want = `
		# HELP hallpass_keys_readable 1 if the last attempt to read the keys succeeded, else 0; the previous keys stay in use.
		# TYPE hallpass_keys_readable gauge
		hallpass_keys_readable 0
		# HELP hallpass_keys_read_failures_total Failed attempts to read the keys.
		# TYPE hallpass_keys_read_failures_total counter
		hallpass_keys_read_failures_total 0
	`
	names := []string{"hallpass_keys_readable", "hallpass_keys_read_failures_total"}
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
	ring, err := keyring.FromSecret(strings.Repeat("x", 32))
	if err != nil {
		t.Fatal(err)
	}
	if got := keymetrics.New(ring); got != nil {
		t.Errorf("%d metrics of a secret", len(got))
	}
}

// later is a source that has no ring yet.
type later struct{}

func (later) Current() *keyring.Ring { return nil }
func (later) Health() keyring.Health { return keyring.Health{} }

// A source that has no ring yet has no keys in any state.
func TestWithoutARing(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(keymetrics.New(later{})...)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == "hallpass_keys" && m.GetGauge().GetValue() != 0 {
				t.Errorf("%v", m)
			}
		}
	}
}

// A key signs, and the next one waits for its turn.
func TestTurns(t *testing.T) {
	now := time.Now()
	set, err := keyring.Generate(keyring.EdDSA, now.Add(-time.Hour), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	next, err := keyring.NewSuccessor(keyring.EdDSA, "", now.Add(time.Hour), now.Add(2*time.Hour), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rotated, err := keyring.Rotate(set, next, now)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(path, rotated, 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := keyring.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(keymetrics.New(source)...)
	want := map[string]float64{
		"hallpass_keys over": 0, "hallpass_keys signing": 1, "hallpass_keys verifying": 0, "hallpass_keys waiting": 1,
		"hallpass_keys_next_turn_timestamp_seconds ":     float64(now.Add(time.Hour).Unix()),
		"hallpass_keys_signing_since_timestamp_seconds ": float64(now.Add(-time.Hour).Unix()),
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			state := ""
			for _, label := range m.GetLabel() {
				state = label.GetValue()
			}
			if name := family.GetName() + " " + state; m.GetGauge() != nil {
				got[name] = m.GetGauge().GetValue()
			}
		}
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %v, want %v", name, got[name], value)
		}
	}
}
