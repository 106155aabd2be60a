package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"time"
)

const (
	searches      = 40 // of each kind
	maxSearchTime = 50 // goal: of the slowest search, in ms
)

// searched are the beginnings of usernames, email addresses and names that administrators look for, with what they are.
var searched = []struct{ what, q string }{
	{"username", "user0012345"},
	{"email address", "user0123456@"},
	{"name, of many users", "User 1"},
	{"nobody", "nobody"},
}

// measureSearch measures how long a search of the admin API takes among many users, on both engines.
func measureSearch(ctx context.Context, b *bench) ([]row, error) {
	path := filepath.Join(b.dir, "users.csv")
	if err := writeUsers(path, manyUsers); err != nil {
		return nil, err
	}
	return b.onEngines("search", func(e engine) ([]row, error) {
		if _, err := b.run(ctx, authserver, "migrate", "--database-url", e.database); err != nil {
			return nil, err
		}
		if _, err := b.run(ctx, authserver, "user", "import", path, "--database-url", e.database); err != nil {
			return nil, err
		}
		auth, err := b.serveAuth(ctx, share{}, e.database, lowCost, "--admin-console")
		if err != nil {
			return nil, err
		}
		defer auth.stop()
		token, err := b.adminToken(ctx, auth, e.database)
		if err != nil {
			return nil, err
		}
		rows := []row{{what: fmt.Sprintf("**Search among %d users, %s**", manyUsers, e.name)}}
		for _, s := range searched {
			took, err := timeSearches(ctx, auth, token, s.q)
			if err != nil {
				return nil, err
			}
			rows = append(rows, only(s.what+": median", "%.1f ms", took, goal{}),
				only(s.what+": slowest", "%.1f ms", []float64{slices.Max(took)}, under(maxSearchTime, "ms")))
		}
		return rows, nil
	})
}

// adminToken returns a token of the admin API for the service client.
func (b *bench) adminToken(ctx context.Context, auth *server, database string) (string, error) {
	const scope = "hallpass:admin"
	secret, err := b.run(ctx, authserver, "client", "add", serviceClient, "--grant", "client_credentials",
		"--scope", scope, "--database-url", database)
	if err == nil {
		_, err = b.run(ctx, authserver, "client", "set", serviceClient, "--admin", "--database-url", database)
	}
	if err != nil {
		return "", err
	}
	t, err := post("/token", basic(secret), url.Values{
		"grant_type": {"client_credentials"}, "scope": {scope}, "resource": {issuer + "/admin/api/v1"},
	}).getTokens(ctx, auth)
	return t.Access, err
}

// timeSearches returns how long searches for the beginning q take, in milliseconds.
func timeSearches(ctx context.Context, auth *server, token, q string) (took []float64, err error) {
	search := get("/admin/api/v1/users?q="+url.QueryEscape(q), token)
	for range searches {
		begin := time.Now()
		if _, err := search.send(ctx, auth, http.StatusOK); err != nil {
			return nil, err
		}
		took = append(took, time.Since(begin).Seconds()*1000)
	}
	return took, nil
}
