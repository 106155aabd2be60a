package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// load is a kind of request, and how many connections send it.
type load struct {
	method, path  string
	authorization string
	bodies        []string // forms, sent in turns; one empty body for GET
	follow        bool     // each connection sends the refresh token of its last response
	connections   int
}

// sample is what a round of a server measures.
type sample [5]float64

// The figures of a sample.
const (
	perSecond = iota
	cpu       // of the server, µs a request
	p50       // latency, µs
	p99
	memory // resident, MiB
)

// figures says how to show the figures of a sample.
var figures = [...]struct{ name, format string }{
	perSecond: {"requests a second", "%.0f"},
	cpu:       {"server CPU for a request", "%.1f µs"},
	p50:       {"latency, median", "%.0f µs"},
	p99:       {"latency, 99th percentile", "%.0f µs"},
	memory:    {"memory under load", "%.1f MiB"},
}

// roundSeconds is the duration of a round: the shortest that wrk offers.
const roundSeconds = 1

//go:embed wrk.lua
var wrkScript string

func (l load) header() http.Header {
	h := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	if l.authorization != "" {
		h.Set("Authorization", l.authorization)
	}
	return h
}

// script returns the Lua script for wrk. The texts are ASCII, which Go and Lua quote alike.
func (l load) script() string {
	var b strings.Builder
	fmt.Fprintf(&b, "method, path, follow = %q, %q, %v\n", l.method, l.path, l.follow)
	b.WriteString("headers, bodies = {}, {}\n")
	for name, values := range l.header() {
		fmt.Fprintf(&b, "headers[%q] = %q\n", name, values[0])
	}
	for i, body := range l.bodies {
		fmt.Fprintf(&b, "bodies[%d] = %q\n", i+1, body)
	}
	return b.String() + wrkScript
}

// round sends the load to s for a round. Responses other than 200 are an error.
func (b *bench) round(ctx context.Context, s *server, l load) (sample, error) {
	script := filepath.Join(b.dir, "wrk.lua")
	if err := os.WriteFile(script, []byte(l.script()), 0o600); err != nil {
		return sample{}, err
	}
	threads := 1
	if l.follow {
		threads = l.connections
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	before, _, errBefore := s.usage()
	output, err := exec.CommandContext(ctx, "wrk",
		fmt.Sprintf("-t%d", threads), fmt.Sprintf("-c%d", l.connections), fmt.Sprintf("-d%ds", roundSeconds),
		"-s", script, "http://"+s.address).CombinedOutput()
	if err != nil {
		return sample{}, fmt.Errorf("wrk: %w: %s", err, output)
	}
	after, resident, errAfter := s.usage()
	result, requests, errReport := parseReport(output)
	result[cpu], result[memory] = (after-before)/requests, resident
	return result, errors.Join(errBefore, errAfter, errReport)
}

// parseReport parses the output of wrk, which ends with a line of wrk.lua.
func parseReport(output []byte) (s sample, requests float64, err error) {
	var r struct{ Requests, Microseconds, P50, P99, Refused, Failed float64 }
	last := output[bytes.LastIndexByte(bytes.TrimSpace(output), '\n')+1:]
	if err := json.Unmarshal(last, &r); err != nil {
		return s, 1, fmt.Errorf("output of wrk: %w: %s", err, output)
	}
	if r.Requests == 0 || r.Refused+r.Failed > 0 {
		return s, 1, fmt.Errorf("%.0f requests, %.0f of them refused, %.0f failed", r.Requests, r.Refused, r.Failed)
	}
	return sample{perSecond: r.Requests / r.Microseconds * 1e6, p50: r.P50, p99: r.P99}, r.Requests, nil
}

// send sends one request of the load, on a connection of its own, and returns the body of the
// response. It fails if the status is not want.
func (l load) send(ctx context.Context, s *server, want int) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, l.method, "http://"+s.address+l.path, strings.NewReader(l.bodies[0]))
	if err != nil {
		return nil, err
	}
	req.Header, req.Close = l.header(), true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != want {
		err = fmt.Errorf("%s %s: status %d: %s", l.method, l.path, resp.StatusCode, body)
	}
	return body, err
}

// post returns the load of a form.
func post(path, authorization string, form url.Values) load {
	return load{
		method: http.MethodPost, path: path, authorization: authorization,
		bodies: []string{form.Encode()}, connections: connections[0],
	}
}

// get returns the load of GET requests with an access token.
func get(path, token string) load {
	return load{method: http.MethodGet, path: path, authorization: "Bearer " + token, bodies: []string{""}}
}

// The demo's client and user.
const (
	demoClient = "demo"
	username   = "john.doe"
	password   = "securepassword"
)

func passwordGrant(username, password string) load {
	return post("/token", "", url.Values{
		"grant_type": {"password"}, "client_id": {demoClient}, "username": {username}, "password": {password},
	})
}

// tokens are the tokens of a login.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

// logIn logs in the demo's user.
func logIn(ctx context.Context, auth *server) (t tokens, err error) {
	body, err := passwordGrant(username, password).send(ctx, auth, http.StatusOK)
	if err != nil {
		return t, err
	}
	return t, json.Unmarshal(body, &t)
}
