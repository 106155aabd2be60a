// Package httpserver runs an HTTP server: timeouts and limits, request ids, logs,
// metrics, health checks and a graceful stop.
//
// A program supplies a handler. [Server.Run] adds:
//
//   - the public listener, with every timeout of [http.Server] set and a limit on connections;
//   - the admin listener with /healthz, /readyz, /metrics and, if set, /debug/pprof, which
//     must not be published;
//   - a request id, a log line, metrics and, if set, a trace for every request, and a 500
//     response for a handler that panics;
//   - the drain: when the server stops, /readyz fails first, then, after a delay in which
//     load balancers notice, the listener closes and requests in flight finish.
package httpserver
