package keymetrics_test

import (
	"log/slog"
	"strings"
	"testing"

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
