package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// maxIdleUnchecked is how long a connection may be idle without being checked before its next use.
const maxIdleUnchecked = time.Second

// readOnlyTransaction is the SQLSTATE of a write to a server that is read-only, such as a standby.
const readOnlyTransaction = "25006"

// hosts connects to one of the hosts of a URL: to the one that it connected to last or, if that does not
// accept a connection, to the next one that does.
//
// The hosts of a URL are one database that fails over. When a connection finds that its server is silent
// or has become read-only, or a new one that another server was promoted, the pool reuses no connection
// that is as old.
type hosts struct {
	connectors []driver.Connector // one for each host
	// timeout limits connecting to one host, and checking a connection that was idle.
	timeout time.Duration
	// first is the index of the host that is tried first.
	first atomic.Int64
	// generation counts how often a server was left. Connections of earlier generations are not reused.
	generation atomic.Int64
	timelines  timelines
}

// origin is where a connection comes from.
type origin struct {
	host       int
	generation int64
}

// originKey is the key of the origin in the data of a connection.
const originKey = "hallpass_origin"

// newHosts returns a connector to the hosts of a configuration. All hosts together have the
// configuration's ConnectTimeout. If there are several, a host that is read-only is skipped, also if
// the URL does not have target_session_attrs. Each connection has the password, the certificates and
// the authorities of the configuration that fresh returns.
func newHosts(config *pgx.ConnConfig, fresh func() (*pgx.ConnConfig, error)) *hosts {
	each := eachHost(config)
	h := &hosts{timeout: config.ConnectTimeout / time.Duration(len(each))}
	for i, c := range each {
		c.ConnectTimeout, c.DialFunc = h.timeout, withoutCancelRequests(c.DialFunc)
		if c.ValidateConnect == nil && len(each) > 1 {
			c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
		}
		validate := c.ValidateConnect
		if validate != nil {
			c.OnPgError = h.onError(c.OnPgError)
		}
		h.connectors = append(h.connectors, stdlib.GetConnector(*c,
			stdlib.OptionBeforeConnect(func(_ context.Context, c *pgx.ConnConfig) error {
				c.ValidateConnect = h.mark(origin{host: i, generation: h.generation.Load()}, validate)
				now, err := fresh()
				switch {
				case errors.Is(err, ErrURL): // the URL was right before
					return errors.Join(errCredentials, fileError(err))
				case err != nil:
					return err
				}
				return renew(c, eachHost(now), i)
			}),
			stdlib.OptionShouldPing(h.check)))
	}
	return h
}

// Why there are no credentials for a new connection.
var (
	// errHostsChanged means that a file that the URL names now has other hosts.
	errHostsChanged = errors.New("the hosts of the database have changed: restart the server")
	errCredentials  = errors.New("a file that the URL names, such as the certificate of an authority, cannot be used now")
)

// renew gives the configuration of the host with this index the credentials of another one.
func renew(c *pgx.ConnConfig, each []*pgx.ConnConfig, host int) error {
	if host >= len(each) || each[host].Host != c.Host || each[host].Port != c.Port {
		return errHostsChanged
	}
	now := each[host]
	c.User, c.Password, c.RequireAuth = now.User, now.Password, now.RequireAuth
	c.TLSConfig, c.Fallbacks = now.TLSConfig, now.Fallbacks
	return nil
}

// eachHost returns a configuration for each host. With sslmode=prefer, that has two ways to connect.
func eachHost(config *pgx.ConnConfig) []*pgx.ConnConfig {
	var each []*pgx.ConnConfig
	ways := append([]*pgconn.FallbackConfig{{
		Host: config.Host, Port: config.Port, TLSConfig: config.TLSConfig,
	}}, config.Fallbacks...)
	for i, way := range ways {
		if i > 0 && way.Host == ways[i-1].Host && way.Port == ways[i-1].Port {
			last := each[len(each)-1]
			last.Fallbacks = append(last.Fallbacks, way)
			continue
		}
		c := config.Copy()
		c.Host, c.Port, c.TLSConfig, c.Fallbacks = way.Host, way.Port, way.TLSConfig, nil
		each = append(each, c)
	}
	return each
}

// Connect implements driver.Connector.
func (h *hosts) Connect(ctx context.Context) (driver.Conn, error) {
	ctx = context.WithValue(ctx, dialing{}, true)
	first, n := int(h.first.Load()), len(h.connectors)
	var errs []error
	for i := range n {
		host := (first + i) % n
		conn, err := h.connectors[host].Connect(ctx) // each address of the host has h.timeout
		if err == nil {
			h.first.CompareAndSwap(int64(first), int64(host))
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// Driver implements driver.Connector.
func (h *hosts) Driver() driver.Driver { return h.connectors[0].Driver() }

// mark returns a function that validates a new connection, records its origin, and refuses one to a primary that was
// replaced. The next address of the host is tried then.
func (h *hosts) mark(from origin, validate pgconn.ValidateConnectFunc) pgconn.ValidateConnectFunc {
	return func(ctx context.Context, c *pgconn.PgConn) error {
		if validate != nil {
			if err := validate(ctx, c); err != nil {
				return err
			}
		}
		timeline, err := timelineOf(ctx, c)
		if err != nil {
			return err
		}
		newer, err := h.timelines.see(timeline)
		if newer {
			from.generation = h.generation.Add(1)
		}
		c.CustomData()[originKey] = from
		return err
	}
}

// leave makes the pool reuse no connection that is as old as this one, and try the next host first.
func (h *hosts) leave(c *pgconn.PgConn) {
	from, known := c.CustomData()[originKey].(origin)
	if known && h.generation.CompareAndSwap(from.generation, from.generation+1) {
		h.first.Store(int64((from.host + 1) % len(h.connectors)))
	}
}

// onError returns a function that leaves a server that has become read-only, and else calls next. The
// result says whether the connection may be kept.
func (h *hosts) onError(next pgconn.PgErrorHandler) pgconn.PgErrorHandler {
	return func(c *pgconn.PgConn, err *pgconn.PgError) bool {
		if err.Code == readOnlyTransaction {
			h.leave(c)
			return false
		}
		return next(c, err)
	}
}

// check checks a connection before it is reused, and closes it if its server does not respond or was
// left. It reports whether the driver must check the connection again, which fails if it is closed.
func (h *hosts) check(ctx context.Context, p stdlib.ShouldPingParams) bool {
	c := p.Conn.PgConn()
	from, _ := c.CustomData()[originKey].(origin)
	if from.generation == h.generation.Load() {
		if p.IdleDuration <= maxIdleUnchecked || h.responds(ctx, c) {
			return false
		}
		if ctx.Err() == nil {
			h.leave(c)
		}
	}
	_ = c.Conn().Close() // without the message that ends a session: a silent server does not read it
	return true
}

// responds reports whether the server responds in time.
func (h *hosts) responds(ctx context.Context, c *pgconn.PgConn) bool {
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	return c.Ping(ctx) == nil
}

// checkAttributes refuses target_session_attrs with which nothing could be written, whether the URL or
// PGTARGETSESSIONATTRS has it.
func checkAttributes(config *pgx.ConnConfig) error {
	for value, validate := range map[string]pgconn.ValidateConnectFunc{
		"read-only":      pgconn.ValidateConnectTargetSessionAttrsReadOnly,
		"standby":        pgconn.ValidateConnectTargetSessionAttrsStandby,
		"prefer-standby": pgconn.ValidateConnectTargetSessionAttrsPreferStandby,
	} {
		if reflect.ValueOf(config.ValidateConnect).Pointer() == reflect.ValueOf(validate).Pointer() {
			return fmt.Errorf("%w: target_session_attrs=%s (or PGTARGETSESSIONATTRS) selects servers that cannot be "+
				"written: use read-write", ErrURL, value)
		}
	}
	return nil
}

// dialing is the key of a context in which a connection is opened.
type dialing struct{}

// errCancelRequest is why a query is not canceled.
var errCancelRequest = errors.New("cancel requests are not sent")

// withoutCancelRequests returns a function that dials only for hosts.Connect.
//
// When a call takes too long, pgx closes its connection and asks the server to cancel what runs there. If that
// is a commit that waits for a synchronous standby, the server stops waiting, and everybody sees a change that
// a failover then loses. Without the request, the change is seen when the standby has it. Statements end by
// statement_timeout.
func withoutCancelRequests(dial pgconn.DialFunc) pgconn.DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if ctx.Value(dialing{}) == nil {
			return nil, errCancelRequest
		}
		return dial(ctx, network, address)
	}
}
