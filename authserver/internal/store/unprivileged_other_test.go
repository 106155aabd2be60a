//go:build !linux

package store_test

import (
	"os"
	"testing"
)

// unprivileged runs work as somebody whom file permissions bind, which root is not.
func unprivileged(t *testing.T, work func()) {
	t.Helper()
	if os.Geteuid() == 0 && os.Getenv("CI") == "true" {
		t.Fatal("with CI=true nothing may be left out: run the tests as somebody else than root")
	}
	if os.Geteuid() == 0 {
		t.Skip("left out: root may write anything")
	}
	work()
}
