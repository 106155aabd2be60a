package e2e_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/postgrestest"
)

var (
	sharedPostgres = sync.OnceValues(func() (*postgrestest.Server, error) {
		postgresUsed.Store(true)
		return postgrestest.Shared()
	})
	postgresUsed atomic.Bool
)

// newPostgresDatabase returns the URL of an empty database on the server that all tests
// share.
func newPostgresDatabase(t *testing.T) string {
	t.Helper()
	return postgrestest.Database(t, sharedPostgres)
}

// closePostgres stops the shared server, if this package has started one.
func closePostgres() error {
	if !postgresUsed.Load() {
		return nil
	}
	server, err := sharedPostgres()
	if errors.Is(err, postgrestest.ErrNotInstalled) {
		return nil
	}
	if err != nil {
		return err
	}
	return server.Close()
}

// startPostgres starts a server that the test may stop and start, and returns the URL of an
// empty database on it.
func startPostgres(t *testing.T) (server *postgrestest.Server, url string) {
	t.Helper()
	start := func() (*postgrestest.Server, error) {
		s, err := postgrestest.New()
		if err == nil {
			server = s
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		return s, err
	}
	url = postgrestest.Database(t, start)
	return server, url
}
