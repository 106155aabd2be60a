//go:build !linux

package store_test

import (
	"os"
	"testing"
)

// unprivileged runs work as a user that file permissions apply to. It skips the test for root.
func unprivileged(t *testing.T, work func()) {
	t.Helper()
	if os.Geteuid() == 0 && os.Getenv("CI") == "true" {
		t.Fatal("with CI=true no test may be skipped: run the tests as a user other than root")
	}
	if os.Geteuid() == 0 {
		t.Skip("file permissions do not apply to root")
	}
	work()
}
