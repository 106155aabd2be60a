package server

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-auth/hallpass/resourceserver/internal/items"
	"github.com/hallpass-auth/hallpass/shared/database"
	"github.com/hallpass-auth/hallpass/shared/tracing"
)

// Items is the settings of the database of items.
type Items struct {
	ItemsDatabaseURL          string `group:"Data" env:"HALLPASS_ITEMS_DATABASE_URL" secret:"" placeholder:"URL" help:"Database of items: sqlite:PATH for one server, or postgres://USER:PASSWORD@HOST/NAME?sslmode=verify-full for more. Without one, the API stores no items, and none can be written."`
	ItemsDatabasePasswordFile string `group:"Data" env:"HALLPASS_ITEMS_DATABASE_PASSWORD_FILE" placeholder:"PATH" help:"File with the password for PostgreSQL, instead of one in the URL."`
	ItemsDatabaseConnections  int    `group:"Data" env:"HALLPASS_ITEMS_DATABASE_CONNECTIONS" default:"10" placeholder:"N" help:"Maximum number of connections to PostgreSQL of each process (${default})."`
}

// validate checks what kong cannot. The error names the setting.
func (s *Items) validate() error {
	if s.ItemsDatabaseURL == "" {
		return nil
	}
	if s.ItemsDatabaseConnections < 1 || s.ItemsDatabaseConnections > 1000 {
		return fmt.Errorf("--items-database-connections (HALLPASS_ITEMS_DATABASE_CONNECTIONS) must be from 1 to 1000, not %d",
			s.ItemsDatabaseConnections)
	}
	return nil
}

// open opens the database until ctx ends, and traces its statements unless traces is nil. It returns nil if no
// database is set.
func (s *Items) open(ctx context.Context, traces *tracing.Tracer, log *slog.Logger) (*items.Store, error) {
	if s.ItemsDatabaseURL == "" {
		return nil, nil //nolint:nilnil // no items are stored
	}
	password, err := database.OpenPasswordFile(s.ItemsDatabasePasswordFile)
	if err != nil {
		return nil, fmt.Errorf("--items-database-password-file (HALLPASS_ITEMS_DATABASE_PASSWORD_FILE): %w", err)
	}
	limits := database.Pool{Password: password, Connections: s.ItemsDatabaseConnections}
	if traces != nil {
		system := "postgresql"
		if strings.HasPrefix(s.ItemsDatabaseURL, "sqlite:") {
			system = "sqlite"
		}
		limits.Wrap = traces.SQL(system)
	}
	store, err := items.Open(ctx, s.ItemsDatabaseURL, limits, log)
	if err != nil {
		return nil, fmt.Errorf("--items-database-url (HALLPASS_ITEMS_DATABASE_URL): %w", err)
	}
	return store, nil
}

// pingTimeout limits the ping of the metric.
const pingTimeout = time.Second

// itemsMetric returns a metric that shows whether the database of items responds. Readiness does not depend on
// it: the other operations go on without it.
func itemsMetric(store *items.Store) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "hallpass_items_database_up",
		Help: "Whether the database of items responds: 1 or 0.",
	}, func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), pingTimeout)
		defer cancel()
		if store.Ping(ctx) != nil {
			return 0
		}
		return 1
	})
}
