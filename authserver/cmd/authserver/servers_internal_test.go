package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// Commands that change what servers keep in memory wait for the servers, once, when the change is
// committed. Other commands do not.
func TestCommandsWaitForServers(t *testing.T) {
	url := "sqlite:" + t.TempDir() + "/hallpass.db"
	t.Setenv("HALLPASS_DATABASE_URL", url)
	if err := createDatabase(url); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), url, databasetest.Pool)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	state := func(ctx context.Context) string { // of all clients and APIs
		var b strings.Builder
		clients, err := s.Clients(ctx, record.Page{})
		for _, c := range clients {
			b.WriteString(c.ID + " " + c.Name + " " + c.SecretDigest + "\n")
		}
		apis, apiErr := s.APIs(ctx)
		for _, a := range apis {
			b.WriteString(a.Audience + " " + a.Name + "\n")
		}
		if err != nil || apiErr != nil {
			t.Errorf("clients: %v, APIs: %v", err, apiErr)
		}
		return b.String()
	}
	var waits []string // the state at each wait
	previous := waitForServers
	waitForServers = func(ctx context.Context) { waits = append(waits, state(ctx)) }
	defer func() { waitForServers = previous }()

	for _, tt := range []struct {
		command string
		waits   bool
	}{
		{"client add svc --grant client_credentials --scope x", false},
		{"client show svc", false},
		{"client set svc --name Service", true},
		{"client rotate-secret svc", true},
		{"client rotate-secret svc --revoke", true},
		{"api add https://api.example --scope x", true},
		{"api set https://api.example --name Example", true},
		{"api set https://api.example --scope", false}, // fails
		{"api delete https://api.example", true},
		{"client delete svc", true},
		{"client delete svc", false}, // fails
	} {
		waits = nil
		before := state(t.Context())
		var out bytes.Buffer
		p := program.Program{Name: "authserver", Commands: &commands{}, Vars: server.Defaults}
		p.Main(strings.Fields(tt.command), program.Streams{Out: &out, Err: &out})
		after := state(t.Context())
		if !tt.waits && len(waits) > 0 || tt.waits && (len(waits) != 1 || waits[0] != after || after == before) {
			t.Errorf("%s: waited %d times, want wait %v after the change:\n%s", tt.command, len(waits), tt.waits, out.Bytes())
		}
	}
}
