package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// The floor, the generator and the statements are this program in another mode: so
// the test program must be able to be them, too.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && slices.Contains([]string{floorMode, generatorMode, statementMode}, os.Args[1]) {
		main()
		return
	}
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil { // of the modes: the race detector waits a second at each end
		panic(err)
	}
	os.Exit(m.Run())
}

// withPrograms makes sure that the two programs are there: those that HALLPASS_BIN
// names, or fresh ones.
func withPrograms(t *testing.T) {
	t.Helper()
	if os.Getenv("HALLPASS_BIN") != "" {
		return
	}
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", dir+string(filepath.Separator),
		"./authserver/cmd/authserver", "./resourceserver/cmd/resourceserver")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the two programs: %v\n%s", err, out)
	}
	t.Setenv("HALLPASS_BIN", dir)
}

// Every endpoint of the built server is measured beside the floor and beside its SQL:
// no figure is missing, and none is of nothing.
func TestMeasuresEndpoints(t *testing.T) {
	withPrograms(t)
	var table, said bytes.Buffer
	if err := run(t.Context(), []string{"-parts", "endpoints", "-rounds", "1", "-round", "100ms"}, &table, &said); err != nil {
		t.Fatal(err)
	}
	lines := map[string]int{}
	for line := range strings.Lines(table.String()) {
		cells := strings.Split(line, "|")
		if len(cells) < 5 {
			continue
		}
		what, ours, floor := strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2]), strings.TrimSpace(cells[3])
		lines[what]++
		if measured := !strings.HasPrefix(what, "**") && !strings.Contains(what, "left out"); strings.HasPrefix(what, "requests a second") && measured &&
			(ours == "" || ours == "0" || floor == "" || floor == "0") {
			t.Errorf("%s: %q beside %q", what, ours, floor)
		}
	}
	for _, e := range endpoints {
		if heading := "**" + e.name + "** (floor: a bare net/http handler that reads the form, same answer)"; lines[heading] != 1 {
			t.Errorf("the table has no %q", heading)
		}
	}
	inPostgres := lines["requests a second, PostgreSQL (floor: the SQL alone)"] + lines["the same in PostgreSQL: left out, it is not installed"]
	got := []int{lines["requests a second"], lines["requests a second, SQLite (floor: the SQL alone)"], inPostgres}
	if diff := cmp.Diff([]int{3, 3, 3}, got); diff != "" {
		t.Errorf("lines of the table (-want +got):\n%s\n%s", diff, table.String())
	}
}

// Under load every refresh token is used once: the first one of a chain is dead
// afterwards, and the last one, which the generator would send next, is good. So the
// load went on from answer to answer. What the statements changed, the load did not
// need.
func TestRefreshLoadRotates(t *testing.T) {
	withPrograms(t)
	h, err := newHouse(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.remove)
	a, err := h.startAuthority(t.Context(), h.sqlite("endpoints"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.stop(); err != nil {
			t.Error(err)
		}
	})
	e := endpoints[0]
	c := &contestant{server: a.server, plan: e.plan(a)}
	first := c.plan.Requests
	alone := &statements{plan: e.statements(a, options{round: 100 * time.Millisecond})}
	if err := inTurns(t.Context(), 2, h.round(c, 100*time.Millisecond), h.run(alone)); err != nil {
		t.Fatal(err)
	}
	if len(c.samples) != 2 || len(alone.samples) != 2 {
		t.Errorf("%d and %d samples", len(c.samples), len(alone.samples))
	}
	for i, next := range c.plan.Requests {
		if bytes.Equal(next, first[i]) {
			t.Errorf("connection %d would send again what it sent first", i)
		}
	}
	if _, err := ask(t.Context(), a.address, c.plan.Requests[0]); err != nil {
		t.Errorf("the token at the end of a chain: %v", err)
	}
	if _, err := ask(t.Context(), a.address, first[1]); err == nil || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("the token at the beginning of a chain: error %v", err)
	}
}

// The logins that everything is measured with are of grants of their own.
func TestLoginsHaveGrantsOfTheirOwn(t *testing.T) {
	a := &authority{}
	for i := range 2*connections + 1 {
		a.logins = append(a.logins, login{grant: int64(i)})
	}
	seen := map[int64]bool{}
	for _, l := range slices.Concat(a.loaded(), a.set(), a.model()) {
		seen[l.grant] = true
	}
	if len(a.loaded()) != connections || len(a.set()) != connections || len(a.model()) != 1 || len(seen) != 2*connections+1 {
		t.Errorf("%d, %d and %d logins of %d grants", len(a.loaded()), len(a.set()), len(a.model()), len(seen))
	}
}

// The answer to a login tells the grant, or is refused; without a status claim it
// would be a guess.
func TestLogInNeedsTheGrant(t *testing.T) {
	claims := sampleClaims("1", time.Now())
	claims.Status = nil
	keys, err := keyring.FromSecret(strings.Repeat("secret", 6))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := (&token.Signer{Keys: keys}).Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := token.NewVerifier(token.VerifierConfig{Keys: keys, Issuer: issuer, Audience: audience})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ body, want string }{
		"no status": {`{"access_token":"` + raw + `","refresh_token":"r"}`, "which grant"},
		"no token":  {`{}`, "token"},
		"no JSON":   {`hello`, "invalid character"},
	} {
		t.Run(name, func(t *testing.T) {
			address := serveAnswer(t, answer{Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(tt.body)})
			if _, err := logIn(t.Context(), address, verifier); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, not one with %q", err, tt.want)
			}
		})
	}
}

// serveAnswer returns the address of a floor with the answer.
func serveAnswer(t *testing.T, a answer) string {
	t.Helper()
	s := httptest.NewServer(a.handler())
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// The floor reads the form: one that cannot be read is refused, as every other server
// would.
func TestFloorReadsTheForm(t *testing.T) {
	want := answer{Header: http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}}, Body: []byte(`{"active":true}`)}
	address := serveAnswer(t, want)
	got, err := ask(t.Context(), address, formRequest("/introspect", "", map[string][]string{"token": {"a b"}}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	bad := bytes.Replace(formRequest("/introspect", "", map[string][]string{"token": {"abcd"}}), []byte("abcd"), []byte("a%zz"), 1)
	if _, err := ask(t.Context(), address, bad); err == nil || !strings.Contains(err.Error(), "400") {
		t.Errorf("a bad escape: error %v", err)
	}
}
