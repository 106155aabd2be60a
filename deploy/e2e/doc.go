// Package e2e tests the whole system: the two built programs, as processes, over
// HTTP.
//
// It exists because the promises made to a user are about both servers at once, and
// about what stands around them: command lines, signals, `make run`, a page in a
// browser. Nothing here imports a server. Its tests are named after the promises.
//
// The programs are those in the folder that HALLPASS_BIN names, as `make test` sets
// it; without it, they are built first. A test that this machine cannot run says
// "left out: WHY" and skips; with CI=true it fails.
package e2e
