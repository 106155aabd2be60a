// Package keymetrics exports metrics that show whether a server can still read its keys, and when they take turns.
package keymetrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// New returns the metrics of a source. A source that never reloads, such as a single secret, has none.
func New(source keyring.Source) []prometheus.Collector {
	if _, ok := keyring.HealthOf(source); !ok {
		return nil
	}
	gauge := func(name, help string, value func(keyring.Health) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			h, _ := keyring.HealthOf(source)
			return value(h)
		})
	}
	return append(turns(source), []prometheus.Collector{
		gauge("hallpass_keys_readable",
			"1 if the last attempt to read the keys succeeded, else 0; the previous keys stay in use.",
			func(h keyring.Health) float64 {
				if h.Err != nil || h.Read.IsZero() {
					return 0
				}
				return 1
			}),
		gauge("hallpass_keys_last_read_timestamp_seconds",
			"When the keys were last read, or found unchanged, in seconds since 1970; 0 if never.",
			func(h keyring.Health) float64 { return seconds(h.Read) }),
		gauge("hallpass_keys_end_timestamp_seconds",
			"When the current keys run out, in seconds since 1970; 0 if no end is known.",
			func(h keyring.Health) float64 { return seconds(h.End) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "hallpass_keys_read_failures_total",
			Help: "Failed attempts to read the keys.",
		}, func() float64 {
			h, _ := keyring.HealthOf(source)
			return float64(h.Failures)
		}),
	}...)
}

// seconds returns t in seconds since 1970, and 0 for the zero time.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
