package database

import (
	"context"

	"github.com/jackc/pgx/v5/pgconn"
)

// OpenDialing opens a PostgreSQL database over connections of dial, whatever the host.
func OpenDialing(ctx context.Context, url string, limits Pool, dial pgconn.DialFunc) (*DB, error) {
	config, err := parsePostgres(url)
	if err != nil {
		return nil, err
	}
	config.DialFunc = dial
	config.LookupFunc = func(context.Context, string) ([]string, error) { return []string{"192.0.2.1"}, nil }
	return connectPostgres(ctx, config, limits.withDefaults())
}
