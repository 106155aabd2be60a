package storetest

import (
	"context"
	"database/sql/driver"
	"sync/atomic"
)

// Counter counts the statements that a store runs, without those that begin or end a transaction.
// Its Wrap is for store.Pool. It is safe for concurrent use.
type Counter struct{ statements atomic.Int64 }

// Reset returns the number of statements since the previous call.
func (c *Counter) Reset() int64 { return c.statements.Swap(0) }

// Wrap returns a connector whose connections are counted.
func (c *Counter) Wrap(inner driver.Connector) driver.Connector { return countedConnector{inner, c} }

type countedConnector struct {
	driver.Connector
	counter *Counter
}

func (c countedConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	return countedConn{conn, c.counter}, err
}

// countedConn has those optional methods of its driver that run statements.
type countedConn struct {
	driver.Conn
	counter *Counter
}

func (c countedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.counter.statements.Add(1)
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c countedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.counter.statements.Add(1)
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

func (c countedConn) Prepare(query string) (driver.Stmt, error) {
	statement, err := c.Conn.Prepare(query)
	return countedStmt{statement, c.counter}, err
}

type countedStmt struct {
	driver.Stmt
	counter *Counter
}

func (s countedStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	s.counter.statements.Add(1)
	return s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
}

func (s countedStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	s.counter.statements.Add(1)
	return s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
}
