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
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// load is a kind of request, and how many connections send it.
type load struct {
	method, path  string
	authorization string
	cookie        string
	bodies        []string // forms, sent in turns; one empty body for GET
	proof         string   // of fetch: the header DPoP
	proofs        []string // of wrk: the header DPoP of each request, in turns
	follow        bool     // each connection sends the refresh token of its last response
	refused       bool     // all responses are errors
	connections   int
}

// loader returns the load of a round on a server.
type loader func(ctx context.Context, s *server) (load, error)

// roundSeconds is the duration of a round: the shortest that wrk offers.
const roundSeconds = 1

//go:embed wrk.lua
var wrkScript string

func (l load) header() http.Header {
	h := http.Header{}
	if l.method == http.MethodPost {
		h.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if l.authorization != "" {
		h.Set("Authorization", l.authorization)
	}
	if l.cookie != "" {
		h.Set("Cookie", l.cookie)
	}
	if l.proof != "" {
		h.Set("DPoP", l.proof)
	}
	return h
}

// script returns the Lua script for wrk. The texts are ASCII, which Go and Lua quote alike. Proofs are too many for a
// script, and are in a file.
func (l load) script(proofs string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "method, path, follow, proofs = %q, %q, %v, %q\n", l.method, l.path, l.follow, proofs)
	b.WriteString("headers, bodies = {}, {}\n")
	for name, values := range l.header() {
		fmt.Fprintf(&b, "headers[%q] = %q\n", name, values[0])
	}
	for i, body := range l.bodies {
		fmt.Fprintf(&b, "bodies[%d] = %q\n", i+1, body)
	}
	return b.String() + wrkScript
}

// loaded returns a subject: a server under a load.
func (b *bench) loaded(name string, s *server, makeLoad loader) subject {
	return subject{name, func(ctx context.Context) (sample, error) {
		l, err := makeLoad(ctx, s)
		if err != nil {
			return sample{}, err
		}
		return b.round(ctx, s, l)
	}}
}

// round sends the load to s for a round. Responses other than 200 are an error, or if the load says so, the others.
func (b *bench) round(ctx context.Context, s *server, l load) (sample, error) {
	script, proofs := filepath.Join(b.dir, "wrk.lua"), ""
	if len(l.proofs) > 0 {
		proofs = filepath.Join(b.dir, "proofs.txt")
	}
	errProofs := os.WriteFile(filepath.Join(b.dir, "proofs.txt"), []byte(strings.Join(l.proofs, "\n")), 0o600)
	errScript := os.WriteFile(script, []byte(l.script(proofs)), 0o600)
	if err := errors.Join(errProofs, errScript); err != nil {
		return sample{}, err
	}
	threads := s.share.wrkThreads
	if l.follow {
		threads = l.connections
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	before, _, errBefore := s.usage()
	output, err := pinned(ctx, s.share.wrkCPUs, "wrk",
		fmt.Sprintf("-t%d", max(threads, 1)), fmt.Sprintf("-c%d", l.connections), fmt.Sprintf("-d%ds", roundSeconds),
		"-s", script, "http://"+s.address).CombinedOutput()
	if err != nil {
		return sample{}, fmt.Errorf("wrk: %w: %s", err, output)
	}
	after, _, errAfter := s.usage()
	result, requests, errReport := parseReport(output, l.refused)
	result[cpu] = (after - before) / requests
	return result, errors.Join(errBefore, errAfter, errReport)
}

// pinned returns a command that runs on the CPUs, or on all if cpus is empty.
func pinned(ctx context.Context, cpus, path string, args ...string) *exec.Cmd {
	if cpus == "" {
		return exec.CommandContext(ctx, path, args...)
	}
	return exec.CommandContext(ctx, "taskset", append([]string{"-c", cpus, path}, args...)...)
}

// parseReport parses the output of wrk, which ends with a line of wrk.lua. All requests must be refused, or none.
func parseReport(output []byte, refused bool) (s sample, requests float64, err error) {
	var r struct{ Requests, Microseconds, P50, P99, Refused, Failed float64 }
	last := output[bytes.LastIndexByte(bytes.TrimSpace(output), '\n')+1:]
	if err := json.Unmarshal(last, &r); err != nil {
		return s, 1, fmt.Errorf("output of wrk: %w: %s", err, output)
	}
	want := 0.0
	if refused {
		want = r.Requests
	}
	if r.Requests == 0 || r.Refused != want || r.Failed > 0 {
		return s, 1, fmt.Errorf("%.0f requests, %.0f of them refused, %.0f failed", r.Requests, r.Refused, r.Failed)
	}
	return sample{perSecond: r.Requests / r.Microseconds * 1e6, p50: r.P50, p99: r.P99}, r.Requests, nil
}

// browser is the client of requests that wrk does not send. Its connections stay open. It follows no redirect.
var browser = &http.Client{
	Transport:     &http.Transport{MaxIdleConnsPerHost: 100},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// response is a response whose body has been read.
type response struct {
	status     int
	retryAfter string
	nonce      string
	cookie     string // the header Cookie of the next request
	body       []byte
}

// wait waits for as long as a server that was too busy asks clients to wait.
func (r response) wait(ctx context.Context) error {
	seconds, err := strconv.Atoi(r.retryAfter)
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(seconds) * time.Second):
	}
	return err
}

// fetch sends the first request of the load.
func (l load) fetch(ctx context.Context, address string) (response, error) {
	req, err := http.NewRequestWithContext(ctx, l.method, "http://"+address+l.path, strings.NewReader(l.bodies[0]))
	if err != nil {
		return response{}, err
	}
	req.Header = l.header()
	resp, err := browser.Do(req)
	if err != nil {
		return response{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	var cookies []string
	for _, c := range resp.Cookies() {
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	return response{
		resp.StatusCode, resp.Header.Get("Retry-After"), resp.Header.Get("DPoP-Nonce"), strings.Join(cookies, "; "), body,
	}, err
}

// send sends the first request of the load and returns the body of the response. It fails if
// the status is not want.
func (l load) send(ctx context.Context, s *server, want int) ([]byte, error) {
	r, err := l.fetch(ctx, s.address)
	if err == nil && r.status != want {
		err = fmt.Errorf("%s %s: status %d: %s", l.method, l.path, r.status, r.body)
	}
	return r.body, err
}

// post returns the load of a form.
func post(path, authorization string, form url.Values) load {
	return load{
		method: http.MethodPost, path: path, authorization: authorization,
		bodies: []string{form.Encode()}, connections: few,
	}
}

// get returns the load of GET requests with an access token, or without one if it is empty.
func get(path, token string) load {
	l := load{method: http.MethodGet, path: path, bodies: []string{""}, connections: few}
	if token != "" {
		l.authorization = "Bearer " + token
	}
	return l
}

// on returns a loader of the load with another number of connections.
func (l load) on(connections int) loader {
	l.connections = connections
	return func(context.Context, *server) (load, error) { return l, nil }
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

func refreshGrant(token string) load {
	return post("/token", "", url.Values{
		"client_id": {demoClient}, "grant_type": {"refresh_token"}, "refresh_token": {token},
	})
}

// tokens are the tokens of a login.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

// getTokens sends a token request.
func (l load) getTokens(ctx context.Context, s *server) (t tokens, err error) {
	body, err := l.send(ctx, s, http.StatusOK)
	if err != nil {
		return t, err
	}
	return t, json.Unmarshal(body, &t)
}

// logIn logs in the demo's user.
func logIn(ctx context.Context, s *server) (tokens, error) {
	return passwordGrant(username, password).getTokens(ctx, s)
}

// refreshLoad returns a loader that logs in for each connection. At the end of a round wrk
// drops responses, and with them refresh tokens, so each round needs new logins.
func refreshLoad(connections int) loader {
	return func(ctx context.Context, s *server) (load, error) {
		all := load{method: http.MethodPost, path: "/token", follow: true, connections: connections}
		all.bodies = make([]string, connections)
		workers, ctx := errgroup.WithContext(ctx)
		workers.SetLimit(few)
		for i := range all.bodies {
			workers.Go(func() error {
				t, err := logIn(ctx, s)
				all.bodies[i] = refreshGrant(t.Refresh).bodies[0]
				return err
			})
		}
		return all, workers.Wait()
	}
}
