package server

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
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

// start starts what seals the audit log and drops old records, until ctx ends, and lets login record its failures.
func (a *Audit) start(
	ctx context.Context,
	data *store.Store,
	login *account.Login,
	registry prometheus.Registerer,
	log *slog.Logger,
) {
	sealer := &audit.Sealer{Store: data, Retention: a.Retention, Now: login.Now, Log: log}
	failures := audit.NewFailures(data, login.Now, log)
	login.Failures = failures
	observeAudit(registry, sealer)
	go sealer.Run(ctx)
	go failures.Run(ctx)
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
