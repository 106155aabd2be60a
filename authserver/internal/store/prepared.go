package store

import (
	"context"
	"database/sql/driver"
)

// maxPrepared bounds how many statements a connection keeps. The store has fewer; what
// migrations bring is not kept beyond it.
const maxPrepared = 100

// preparing is a connector to SQLite whose connections keep the statements that they
// have prepared, by their text. To compile them anew for each request took a quarter of
// the server's time. (pgx keeps those of PostgreSQL by itself.)
type preparing struct{ driver.Connector }

// Connect makes a connection that has prepared nothing yet.
func (p preparing) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := p.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &preparingConn{sqliteConn: c.(sqliteConn), prepared: map[string]driver.Stmt{}}, nil
}

// sqliteConn is what database/sql uses of a connection, but for running a text without
// preparing it: so it prepares every one.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// preparingConn is used by one goroutine at a time, as every driver.Conn.
type preparingConn struct {
	sqliteConn
	prepared map[string]driver.Stmt // those that nobody is using right now
}

// PrepareContext takes a statement that was prepared before, or prepares it.
func (c *preparingConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	s, ok := c.prepared[query]
	if ok {
		delete(c.prepared, query)
	} else {
		var err error
		if s, err = c.sqliteConn.PrepareContext(ctx, query); err != nil {
			return nil, err
		}
	}
	return &preparedStmt{sqliteStmt: s.(sqliteStmt), conn: c, query: query}, nil
}

// Close closes the statements with the connection.
func (c *preparingConn) Close() error {
	for _, s := range c.prepared {
		_ = s.Close() // the connection goes in any case
	}
	return c.sqliteConn.Close()
}

// sqliteStmt is what database/sql uses of a statement.
type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// preparedStmt is a statement in use. database/sql closes it when its rows are read.
type preparedStmt struct {
	sqliteStmt
	conn  *preparingConn
	query string
}

// Close gives the statement back to its connection.
func (s *preparedStmt) Close() error {
	if _, ok := s.conn.prepared[s.query]; ok || len(s.conn.prepared) >= maxPrepared {
		return s.sqliteStmt.Close()
	}
	s.conn.prepared[s.query] = s.sqliteStmt
	return nil
}
