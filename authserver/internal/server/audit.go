package server

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
)

// Audit is the settings of the audit log.
type Audit struct {
	Retention time.Duration `name:"audit-retention" group:"Logs" env:"HALLPASS_AUDIT_RETENTION" default:"8760h" help:"How long records of the audit log are kept: 720h or more, or 0 to keep them forever. Older ones are deleted by whole days (${default})."`
}

// check checks what kong cannot. The error names the setting.
func (a *Audit) check() error {
	if a.Retention != 0 && a.Retention < audit.MinRetention {
		return fmt.Errorf("--audit-retention (HALLPASS_AUDIT_RETENTION) must be %v or more, or 0 to keep records forever, "+
			"not %v", audit.MinRetention, a.Retention)
	}
	return nil
}

// start starts what seals the audit log and drops old records. It returns what records failed logins.
func (a *Audit) start(p Parts, now func() time.Time) *audit.Failures {
	sealer := &audit.Sealer{Store: p.Data, Retention: a.Retention, Now: now, Log: p.Log}
	failures := audit.NewFailures(p.Data, now, p.Log)
	observeAudit(p.Registry, sealer)
	p.Background.run(sealer.Run)
	p.Background.run(failures.Run)
	return failures
}

// observeAudit registers the metrics of the audit log.
func observeAudit(reg prometheus.Registerer, sealer *audit.Sealer) {
	reg.MustRegister(
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "hallpass_audit_sealed_total",
			Help: "Records of the audit log that this server has added to the chain.",
		}, func() float64 { return float64(sealer.Sealed()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "hallpass_audit_dropped_total",
			Help: "Records of the audit log that this server has deleted because they were too old.",
		}, func() float64 { return float64(sealer.Dropped()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "hallpass_audit_errors_total",
			Help: "How often this server could not seal or drop records of the audit log. The next try is a second later.",
		}, func() float64 { return float64(sealer.Errors()) }),
	)
}
