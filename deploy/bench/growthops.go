package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	growthRedirect = "https://growth.example/callback"
	growthVerifier = "0123456789abcdef0123456789abcdef0123456789abcdef"
)

// operation is something whose duration is compared on two servers.
type operation struct {
	name, format string
	goal         goal
	repeat       int           // how often it is done on each server in a round
	unit         time.Duration // of the figure
	once         func(ctx context.Context, b *bench, g *grown) error
}

var growthOperations = []operation{
	{"login less its password check", "%.2f ms", growthGoal, 60, time.Millisecond,
		func(ctx context.Context, _ *bench, g *grown) error {
			return g.logInOnce(ctx)
		}},
	{"refresh", "%.2f ms", growthGoal, 100, time.Millisecond, func(ctx context.Context, _ *bench, g *grown) error {
		return g.refreshOnce(ctx)
	}},
	{"revoke", "%.2f ms", growthGoal, 60, time.Millisecond, func(ctx context.Context, _ *bench, g *grown) error {
		return g.revokeOnce(ctx)
	}},
	{"introspect", "%.2f ms", growthGoal, 100, time.Millisecond, func(ctx context.Context, _ *bench, g *grown) error {
		return g.introspectOnce(ctx)
	}},
	{"`user list --after --limit 100`", "%.0f ms", growthGoal, 5, time.Millisecond,
		func(ctx context.Context, b *bench, g *grown) error {
			return b.listUsers(ctx, g, 100, "--after", growthUsername(rand.Int64N(g.users/2)))
		}},
	{"`user list --prefix --limit 10`", "%.0f ms", growthGoal, 5, time.Millisecond,
		func(ctx context.Context, b *bench, g *grown) error {
			return b.listUsers(ctx, g, 10, "--prefix", growthUsername(rand.Int64N(g.users))[:11])
		}},
	{"all status lists, fetched after a change", "%.2f ms", under(1000, "ms"), 3, time.Millisecond,
		func(ctx context.Context, _ *bench, g *grown) error {
			_, err := g.fetchLists(ctx, g.address)
			return err
		}},
}

// compare measures the operation on both servers, one request each in turns, and compares the medians of rounds.
func (o operation) compare(ctx context.Context, b *bench, two [2]*grown) (row, error) {
	var medians [2][]float64
	for round := range b.rounds {
		var times [2][]float64
		for i := range o.repeat {
			for j := range two {
				which := (i + j + round) % len(two)
				if err := o.prepare(ctx, two[which]); err != nil {
					return row{}, err
				}
				begin := time.Now()
				if err := o.once(ctx, b, two[which]); err != nil {
					return row{}, err
				}
				times[which] = append(times[which], float64(time.Since(begin))/float64(o.unit))
			}
		}
		for i := range times {
			medians[i] = append(medians[i], median(times[i]))
		}
	}
	return compare(o.name, o.format, medians[0], medians[1], o.goal), nil
}

// prepare changes the first status list before that is measured, and waits until the server looks for changes.
func (o operation) prepare(ctx context.Context, g *grown) error {
	if o.goal.text == growthGoal.text {
		return nil
	}
	err := g.revokeOnce(ctx)
	time.Sleep(250 * time.Millisecond)
	return err
}

// post sends a form and returns the body of the response, which must have status 200.
func (g *grown) post(ctx context.Context, path, authorization string, form url.Values) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+g.address+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := g.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: status %d: %s", path, resp.StatusCode, body)
	}
	return body, err
}

// logInOnce does what follows the password check of a login: a code for the browser's session, and tokens for it.
func (g *grown) logInOnce(ctx context.Context) error {
	challenge := sha256.Sum256([]byte(growthVerifier))
	query := url.Values{
		"response_type": {"code"}, "client_id": {growthClient}, "redirect_uri": {growthRedirect}, "scope": {"profile"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+g.address+"/authorize?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	req.AddCookie(&http.Cookie{Name: "hallpass", Value: g.cookies[rand.IntN(len(g.cookies))]})
	resp, err := g.client.Do(req)
	if err != nil {
		return err
	}
	page, err := io.ReadAll(resp.Body)
	location, errLocation := resp.Location()
	if err := errors.Join(err, errLocation, resp.Body.Close()); err != nil {
		return fmt.Errorf("/authorize: %w: status %d: %.300s", err, resp.StatusCode, page)
	}
	_, err = g.post(ctx, "/token", "", url.Values{
		"grant_type": {"authorization_code"}, "client_id": {growthClient}, "redirect_uri": {growthRedirect},
		"code": {location.Query().Get("code")}, "code_verifier": {growthVerifier},
	})
	return err
}

// refreshOnce refreshes a grant and keeps its access token.
func (g *grown) refreshOnce(ctx context.Context) error {
	token, err := g.token()
	if err != nil {
		return err
	}
	body, err := g.post(ctx, "/token", "", url.Values{
		"grant_type": {"refresh_token"}, "client_id": {growthClient}, "refresh_token": {token},
	})
	if err != nil {
		return err
	}
	var t tokens
	err = json.Unmarshal(body, &t)
	g.access = append(g.access, t.Access)
	return err
}

// revokeOnce revokes a grant.
func (g *grown) revokeOnce(ctx context.Context) error {
	token, err := g.token()
	if err == nil {
		_, err = g.post(ctx, "/revoke", "", url.Values{"client_id": {growthClient}, "token": {token}})
	}
	return err
}

// introspectOnce introspects one of the access tokens.
func (g *grown) introspectOnce(ctx context.Context) error {
	token := g.access[rand.IntN(len(g.access))]
	body, err := g.post(ctx, "/introspect", basic(g.secret), url.Values{"token": {token}})
	if err == nil && !strings.Contains(string(body), `"active":true`) {
		err = fmt.Errorf("introspection: %s", body)
	}
	return err
}

// listUsers lists users on the command line.
func (b *bench) listUsers(ctx context.Context, g *grown, limit int, args ...string) error {
	output, err := b.run(ctx, authserver, append([]string{
		"user", "list", "--database-url", g.database, "--limit", strconv.Itoa(limit),
	}, args...)...)
	if lines := strings.Count(output, "\n"); err == nil && lines != limit {
		err = fmt.Errorf("%d users, want %d", lines, limit)
	}
	return err
}

// fetchLists fetches all status lists and returns their size.
func (g *grown) fetchLists(ctx context.Context, address string) (size int, err error) {
	for number := range int(g.grants/(1<<20)) + 1 {
		list, err := g.fetchList(ctx, address, number)
		if err != nil {
			return 0, err
		}
		size += len(list)
	}
	return size, nil
}

// fetchList returns a status list.
func (g *grown) fetchList(ctx context.Context, address string, number int) ([]byte, error) {
	list := load{method: http.MethodGet, path: "/status-lists/" + strconv.Itoa(number), bodies: []string{""}}
	req, err := http.NewRequestWithContext(ctx, list.method, "http://"+address+list.path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept-Encoding", "gzip") // so that the body is what is sent, as it is to an API
	resp, err := g.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: status %d: %s", list.path, resp.StatusCode, body)
	}
	return body, err
}

// queryNumber returns the number that a query of PostgreSQL finds.
func queryNumber(ctx context.Context, database, query string) (n int64, err error) {
	c, err := pgx.Connect(ctx, database)
	if err != nil {
		return 0, err
	}
	defer c.Close(ctx)
	return n, c.QueryRow(ctx, query).Scan(&n)
}
