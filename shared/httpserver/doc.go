// Package httpserver is the one way to run a server in Hallpass: timeouts and
// limits, request ids, logs, metrics, health, and an orderly stop.
//
// It exists so that no server forgets one of them. A program gives it a handler;
// what it adds is the same for all:
//
//   - the public listener, with every timeout of http.Server set;
//   - the admin listener, never published: /healthz, /readyz, /metrics and
//     /debug/pprof;
//   - on a stop, readiness goes off first, then, after a delay in which load
//     balancers notice, the listener closes, and requests in flight finish.
package httpserver
