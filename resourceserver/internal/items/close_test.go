package items_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/hallpass-auth/hallpass/resourceserver/internal/items"
	"github.com/hallpass-auth/hallpass/shared/database"
	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
)

// lateConnector fails at first. It then opens a connection, and returns it when the context of the attempt ends.
type lateConnector struct {
	driver.Connector
	failed    atomic.Bool
	connected chan struct{} // closed when the connection is open
	open      atomic.Int64  // connections
}

// Connect implements driver.Connector.
func (c *lateConnector) Connect(ctx context.Context) (driver.Conn, error) {
	if !c.failed.Swap(true) {
		return nil, errors.New("not yet")
	}
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	c.open.Add(1)
	close(c.connected)
	<-ctx.Done()
	return &countedConn{conn, &c.open}, nil
}

// countedConn is a connection of a lateConnector.
type countedConn struct {
	driver.Conn
	open *atomic.Int64
}

// Close implements driver.Conn.
func (c *countedConn) Close() error {
	c.open.Add(-1)
	return c.Conn.Close()
}

// Close waits for an attempt to open the database, and leaves no connection of it open.
func TestCloseWhileOpening(t *testing.T) {
	t.Parallel()
	url := databasetest.URL(t, database.PostgreSQL)
	late := &lateConnector{connected: make(chan struct{})}
	s, err := items.Open(t.Context(), url, databasetest.Wrapped(func(c driver.Connector) driver.Connector {
		late.Connector = c
		return late
	}), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	<-late.connected
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if n := late.open.Load(); n != 0 {
		t.Errorf("%d connections are open after Close", n)
	}
}
