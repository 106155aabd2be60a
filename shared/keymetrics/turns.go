package keymetrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// turns returns the metrics of when keys take turns: how many there are in each state, since when the oldest one signs,
// and when the next one begins to.
func turns(source keyring.Source) []prometheus.Collector {
	collectors := []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "hallpass_keys_signing_since_timestamp_seconds",
			Help: "Since when the oldest of the keys that sign now does so, in seconds since 1970; 0 if none signs.",
		}, func() float64 { return seconds(earliest(source, keyring.Signing)) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "hallpass_keys_next_turn_timestamp_seconds",
			Help: "When the next key begins to sign, in seconds since 1970; 0 if none waits.",
		}, func() float64 { return seconds(earliest(source, keyring.Waiting)) }),
	}
	for _, state := range []keyring.State{keyring.Waiting, keyring.Signing, keyring.Verifying, keyring.Over} {
		collectors = append(collectors, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "hallpass_keys",
			Help: "Keys by state: waiting for their turn, signing, verifying what they have signed, or over. " +
				"A key of which only the public half is known is verifying.",
			ConstLabels: prometheus.Labels{"state": string(state)},
		}, func() float64 { return float64(len(inState(source, state))) }))
	}
	return collectors
}

// inState returns the keys that are in a state now.
func inState(source keyring.Source, state keyring.State) (keys []*keyring.Key) {
	ring, now := source.Current(), time.Now()
	if ring == nil { // the source has no keys yet
		return nil
	}
	for _, k := range ring.Keys() {
		if ring.StateOf(k, now) == state {
			keys = append(keys, k)
		}
	}
	return keys
}

// earliest returns the earliest time at which a key in the state begins to sign, or began to; the zero time without
// such a key, and for one that has always signed.
func earliest(source keyring.Source, state keyring.State) (first time.Time) {
	for _, k := range inState(source, state) {
		if first.IsZero() || k.SignsFrom.Before(first) {
			first = k.SignsFrom
		}
	}
	return first
}
