package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

const (
	signUpClients = 8    // that make accounts at once
	minOfHashes   = 0.95 // goal: accounts a second against hashes of bcrypt
	maxPageCPU    = 2000 // goal: of an account page, in µs
	pageLogins    = 5    // browsers that the account page lists
)

// The subjects of the account page, beside the page itself.
const (
	landing   = "landing page"
	sameBytes = "the same bytes" // net/http that sends a file
)

// measureAccounts compares sign-ups with bcrypt alone, and the account page with the bytes of it alone.
func measureAccounts(ctx context.Context, b *bench) ([]row, error) {
	signUps, err := measureSignUps(ctx, b)
	if err != nil {
		return nil, err
	}
	pages, err := b.onEngines("account-page", func(e engine) ([]row, error) { return b.measureAccountPage(ctx, e) })
	return append(signUps, pages...), err
}

// measureSignUps compares the accounts that people make with links, in a second, with the hashes that bcrypt alone
// makes. Invitations give the links, because the limits of mails let no network ask for that many.
func measureSignUps(ctx context.Context, b *bench) ([]row, error) {
	database := b.sqlite("sign-ups")
	auth, err := b.serveAuth(ctx, share{}, database, bcryptCost, "--mail-inbox", "on", "--signup", "invitation")
	if err != nil {
		return nil, err
	}
	defer auth.stop()
	alone := repeated(bareBcrypt, runtime.NumCPU(), func(context.Context) (bool, error) {
		_, err := bcrypt.GenerateFromPassword([]byte(password), bcryptCost)
		return true, err
	})
	warm, err := alone.measure(ctx)
	if err != nil {
		return nil, err
	}
	most := loginRounds * (signUpClients + int(math.Ceil(1.5*warm[perSecond]*loginTime.Seconds())))
	links, err := b.invite(ctx, database, most)
	if err != nil {
		return nil, err
	}
	r := results{}
	err = r.measure(ctx, loginRounds, alone, repeated(authserver, signUpClients, func(ctx context.Context) (bool, error) {
		return trySignUp(ctx, auth, links)
	}))
	if err != nil {
		return nil, err
	}
	return []row{
		{what: fmt.Sprintf("**Sign-up** (floor: bcrypt with cost %d alone, on all CPUs)", bcryptCost)},
		compare(fmt.Sprintf("accounts a second, %d clients", signUpClients), "%.2f",
			r.column(authserver, perSecond), r.column(bareBcrypt, perSecond), atLeast(minOfHashes)),
	}, nil
}

// invite returns the secrets of the links of invitations.
func (b *bench) invite(ctx context.Context, database string, count int) (<-chan string, error) {
	links := make(chan string, count)
	for i := range count {
		printed, err := b.run(ctx, authserver, "user", "invite", fmt.Sprintf("guest-%d@example.com", i), "--print",
			"--database-url", database)
		if err != nil {
			return nil, err
		}
		address, err := url.Parse(printed)
		if err != nil {
			return nil, err
		}
		links <- address.Query().Get("link")
	}
	close(links)
	return links, nil
}

// trySignUp makes an account with the next link. It reports false if the server was too busy.
func trySignUp(ctx context.Context, auth *server, links <-chan string) (bool, error) {
	link, ok := <-links
	if !ok {
		return false, errors.New("all invitations are used: the server is faster than bcrypt alone")
	}
	r, err := post("/signup/account", "", url.Values{
		"link": {link}, "username": {"guest-" + strings.ToLower(link[len(link)-12:])}, "password": {"three wandering otters"},
	}).fetch(ctx, auth.address)
	switch {
	case err != nil || r.status == http.StatusOK:
		return true, err
	case r.status != http.StatusServiceUnavailable:
		return false, fmt.Errorf("sign-up: status %d: %s", r.status, r.body)
	}
	return false, r.wait(ctx)
}

// measureAccountPage compares the account page with a page of the same server that reads no database, and with a bare
// handler that sends its bytes.
func (b *bench) measureAccountPage(ctx context.Context, e engine) ([]row, error) {
	auth, err := b.serveAuth(ctx, half(), e.database, lowCost)
	if err != nil {
		return nil, err
	}
	defer auth.stop()
	page, body, err := accountPage(ctx, auth)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(b.dir, "account.html")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		return nil, err
	}
	floor, err := b.serveFloor(ctx, half(), sameBytes, file)
	if err != nil {
		return nil, err
	}
	defer floor.stop()
	r := results{}
	err = r.warm(ctx, b.fewerRounds(), b.loaded(authserver, auth, page.on(few)),
		b.loaded(landing, auth, get("/", "").on(few)), b.loaded(sameBytes, floor, page.on(few)))
	if err != nil {
		return nil, fmt.Errorf("account page, %s: %w", e.name, err)
	}
	rows := []row{{what: fmt.Sprintf("**Account page, %s** (floor: a bare handler that sends its bytes)", e.name)}}
	rows = append(rows, r.compareAll(authserver, sameBytes, goal{}, under(maxPageCPU, "µs"))...)
	return append(rows,
		r.compare("requests a second (floor: the landing page)", perSecond, authserver, landing, goal{}),
		r.compare("server CPU for a request (floor: the landing page)", cpu, authserver, landing, goal{})), nil
}

// accountPage logs the demo's user in, in several browsers and with a program, and returns the request of the last
// browser for the account page, with the body of the response.
func accountPage(ctx context.Context, auth *server) (page load, body []byte, err error) {
	if _, err := logIn(ctx, auth); err != nil {
		return load{}, nil, err
	}
	login := post("/account/login", "", url.Values{
		"username": {username}, "password": {password}, "continue": {"/account"},
	})
	for range pageLogins {
		r, err := login.fetch(ctx, auth.address)
		if err == nil && r.status != http.StatusSeeOther {
			err = fmt.Errorf("login on the account page: status %d: %s", r.status, r.body)
		}
		if err != nil {
			return load{}, nil, err
		}
		page = get("/account", "")
		page.cookie = r.cookie
	}
	body, err = page.send(ctx, auth, http.StatusOK)
	if err == nil && !bytes.Contains(body, []byte("Where you are logged in")) {
		err = fmt.Errorf("this is not the account page: %s", body)
	}
	return page, body, err
}
