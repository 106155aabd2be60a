package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
)

// peer is a program in peers/ that Hallpass is compared with.
type peer struct {
	program  string
	file     string
	compared []string // the operations that it has
}

// The operations that peers are compared in.
const (
	userRequest   = "GET /users/me"
	serviceToken  = "client_credentials"
	refreshed     = "refresh"
	passwordLogin = "login"
)

var peers = []peer{
	{"node", "fastify.js", []string{userRequest}},
	{"/usr/bin/python3", "tutorial.py", []string{userRequest, passwordLogin}}, // Debian's, which has its packages
	{"node", "oidc-provider.js", []string{serviceToken, refreshed}},
	{"node", "oauth2-server.js", []string{serviceToken, refreshed}},
}

// measurePeers compares Hallpass with each peer. Each server runs on one CPU; wrk runs on the others.
func measurePeers(ctx context.Context, b *bench) (rows []row, err error) {
	one := onCores(1, runtime.NumCPU())
	auth, err := b.serveAuth(ctx, one, b.sqlite("peers"), bcryptCost)
	if err != nil {
		return nil, err
	}
	defer auth.stop()
	api, err := b.serveAPI(ctx, one, auth)
	if err != nil {
		return nil, err
	}
	defer api.stop()
	secret, err := b.addService(ctx, b.sqlite("peers"))
	if err != nil {
		return nil, err
	}
	for _, p := range peers {
		more, err := b.measurePeer(ctx, p, auth, api, secret)
		if err != nil {
			return rows, fmt.Errorf("%s (is it installed? see deploy/docs/measurements.md): %w", p.file, err)
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// measurePeer compares a peer in the operations that it has.
func (b *bench) measurePeer(ctx context.Context, p peer, auth, api *server, secret string) (rows []row, err error) {
	version, err := pinned(ctx, "", p.program, "peers/"+p.file, "version").Output()
	if err != nil {
		return nil, err
	}
	s, err := b.start(ctx, auth.share, command{
		path: p.program,
		args: func(s *server) []string {
			_, port, _ := net.SplitHostPort(s.address)
			return []string{"peers/" + p.file, port, secret}
		},
		ready: func(s *server) error { _, err := logIn(ctx, s); return err },
	})
	if err != nil {
		return nil, err
	}
	defer s.stop()
	const heading = "**Hallpass beside %s** (in the column of the floor)"
	rows = []row{{what: fmt.Sprintf(heading, strings.TrimSpace(string(version)))}}
	for _, what := range p.compared {
		r := results{}
		ours, theirs, err := b.peerSubjects(ctx, what, auth, api, s, secret)
		if err == nil {
			err = r.warm(ctx, b.fewerRounds(), ours, theirs)
		}
		if err != nil {
			return rows, fmt.Errorf("%s: %w", what, err)
		}
		if what == passwordLogin {
			rows = append(rows, compare("logins a second, 8 clients", "%.2f",
				r.column(ours.name, perSecond), r.column(theirs.name, perSecond), goal{}))
			continue
		}
		rows = append(rows, r.compare(what+", requests a second", perSecond, ours.name, theirs.name, goal{}),
			r.compare(what+", 99th percentile", p99, ours.name, theirs.name, goal{}))
	}
	return rows, nil
}

// peerSubjects returns both servers under the load of an operation.
func (b *bench) peerSubjects(ctx context.Context, what string, auth, api, other *server, secret string) (
	ours, theirs subject, err error,
) {
	login, errOurs := logIn(ctx, auth)
	otherLogin, errTheirs := logIn(ctx, other)
	if err := errors.Join(errOurs, errTheirs); err != nil {
		return ours, theirs, err
	}
	switch what {
	case userRequest:
		return b.loaded("ours", api, get("/users/me", login.Access).on(few)),
			b.loaded("theirs", other, get("/users/me", otherLogin.Access).on(few)), nil
	case passwordLogin:
		logInTo := func(s *server) func(context.Context) (bool, error) {
			return func(ctx context.Context) (bool, error) { return tryLogIn(ctx, s) }
		}
		return repeated("ours", few, logInTo(auth)), repeated("theirs", few, logInTo(other)), nil
	}
	l := serviceLoad(secret, few)
	if what == refreshed {
		l = refreshLoad(few)
	}
	return b.loaded("ours", auth, l), b.loaded("theirs", other, l), nil
}
