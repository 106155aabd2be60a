// Package e2e tests the whole system: the two built programs run as processes, and the tests
// speak HTTP to them. They also test what is around the servers: command lines, signals,
// `make run`, pages in a browser, and settings in documentation and compose files. Nothing
// here imports a server.
//
// The programs are those in the folder HALLPASS_BIN, which `make test` sets. If it is empty,
// they are built first. With -short, long tests are skipped; `make test-all` runs them. A test
// that needs something that is not installed is skipped; with CI=true it fails.
package e2e
