package database

import (
	"context"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// OpenDialing opens a PostgreSQL database over connections of dial, whatever the host.
func OpenDialing(ctx context.Context, url string, limits Pool, dial pgconn.DialFunc) (*DB, error) {
	return connectPostgres(ctx, limits.withDefaults(), parsing(url, dial))
}

// ConnsDialing returns a pool over connections of dial that connects when it is used.
func ConnsDialing(url string, limits Pool, dial pgconn.DialFunc) (*Conns, error) {
	return newConns(limits.withDefaults(), parsing(url, dial))
}

// Addresses are those of every host of OpenDialing and ConnsDialing.
var Addresses = []string{"192.0.2.1", "192.0.2.2"}

// parsing returns a function that parses a URL, whose connections are those of dial.
func parsing(url string, dial pgconn.DialFunc) func() (*pgx.ConnConfig, error) {
	return func() (*pgx.ConnConfig, error) {
		config, err := parsePostgres(url)
		if err != nil {
			return nil, err
		}
		config.DialFunc = dial
		config.LookupFunc = func(context.Context, string) ([]string, error) { return Addresses, nil }
		return config, nil
	}
}

// Hosts are the hosts of a URL as a pool tries them.
type Hosts struct{ hosts *hosts }

// NewHosts returns the hosts of a URL.
func NewHosts(url string, limits Pool) (Hosts, error) {
	fresh := func() (*pgx.ConnConfig, error) { return parsePostgres(url) }
	config, err := fresh()
	if err != nil {
		return Hosts{}, err
	}
	config.ConnectTimeout = limits.ConnectTimeout
	return Hosts{newHosts(config, fresh)}, nil
}

// Timeout returns the limit on connecting to one host.
func (h Hosts) Timeout() time.Duration { return h.hosts.timeout }

// First returns the index of the host that is tried first.
func (h Hosts) First() int { return int(h.hosts.first.Load()) }

// Connection returns a connection to the host with this index, over conn.
func (h Hosts) Connection(host int, conn net.Conn) (*pgconn.PgConn, error) {
	config, err := pgconn.ParseConfig("postgres://a/x?sslmode=disable")
	if err != nil {
		return nil, err
	}
	c, err := pgconn.Construct(&pgconn.HijackedConn{Conn: conn, Config: config, CustomData: map[string]any{}})
	if err != nil {
		return nil, err
	}
	c.CustomData()[originKey] = origin{host: host, generation: h.hosts.generation.Load()}
	return c, nil
}

// Leave leaves the host of a connection.
func (h Hosts) Leave(c *pgconn.PgConn) { h.hosts.leave(c) }
