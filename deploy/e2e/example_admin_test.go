package e2e_test

import (
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// startAdminExample starts both servers and the website of deploy/examples/admin, and returns its URL.
func startAdminExample(t *testing.T) (s *system, site string) {
	t.Helper()
	s = startWithItems(t)
	address := freeAddresses(t, 1)[0]
	site = "http://" + address
	secret := s.admin(t, "", "client", "add", "item-admin", "--name", "Item administration",
		"--grant", "authorization_code", "--scope", "openid profile groups items:admin", "--redirect-uri", site+"/callback")
	program := filepath.Join(t.TempDir(), "admin")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./deploy/examples/admin")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(program, "-listen", address, "-issuer", s.authURL, "-api", s.apiURL)
	cmd.Env = append(cleanEnv(), "ADMIN_CLIENT_SECRET="+strings.TrimSpace(secret))
	p := launch(t, "admin", cmd)
	waitFor(t, "the website", func() bool {
		resp, err := http.Get(site)
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	}, p)
	return s, site
}

// itemsOf calls the API with a token of a demo user.
func (s *system) itemsOf(t *testing.T, username, password, method, path, body string) response {
	t.Helper()
	r := get(path, "Bearer "+s.login(t, username, password))
	r.method, r.body = method, body
	if body != "" {
		r.header.Set("Content-Type", "application/json")
	}
	return send(t, s.apiURL, r)
}

// An administrator logs in, finds an item of somebody else, changes it and, after another login, deletes it.
// `go test -run TestAdminExampleInBrowser -artifacts` keeps the screenshots.
func TestAdminExampleInBrowser(t *testing.T) {
	longTest(t)
	t.Parallel()
	s, site := startAdminExample(t)
	for path, body := range map[string]string{
		"/items/1": `{"title":"Buy milk","note":"Two bottles\nand some cream"}`,
		"/items/2": `{"title":"Rechtsschutzversicherungsgesellschaftenverwaltungsunterlagen heraussuchen <b>"}`,
		"/items/3": `{"title":"Water the plants"}`,
	} {
		if got := s.itemsOf(t, "john.doe", demoPassword, http.MethodPut, path, body); got.status != http.StatusCreated {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	g := newGuest(t, s, startWebsite(t))
	open := func(path string) { t.Helper(); g.visit(site + path) }
	shows := func(text string) {
		t.Helper()
		if page := g.eval(`document.body.innerText`); !strings.Contains(page, text) {
			t.Errorf("the page does not show %q:\n%s", text, page)
		}
	}

	open("/")
	g.sees("Item administration")
	g.inspect("admin-login")
	g.presses("Log in")
	g.login("ada", adaPassword)
	g.sees("Allow access?")
	g.presses("Allow")
	g.sees("Items of everybody")
	shows("john.doe")
	g.inspect("admin-list")

	open("/?title=MILK")
	g.sees("Items of everybody")
	g.check("the number of items", `document.querySelectorAll("li").length`, "1")
	g.presses("Change")
	g.sees("Change item")
	g.inspect("admin-edit")
	g.types(kb.End + " today" + kb.Enter)
	g.sees("Items of everybody")
	shows("Item 1 was saved.")
	shows("Buy milk today")

	open("/?title=milk")
	g.sees("Items of everybody")
	g.presses("Change")
	g.sees("Change item")
	got := s.itemsOf(t, "john.doe", demoPassword, http.MethodPut, "/items/1", `{"title":"John was faster: milk"}`)
	if got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	g.types(" lost" + kb.Enter)
	g.sees("That did not work")
	shows("Somebody has changed the item since you saw it.")
	g.inspect("admin-changed")

	remove := func() {
		t.Helper()
		open("/?title=milk")
		g.sees("Items of everybody")
		g.presses("Delete")
		g.sees("Delete this item?")
		g.inspect("admin-delete")
		g.presses("Log in and delete")
	}
	remove()
	g.login("ada", adaPassword) // although the browser is logged in
	g.sees("Items of everybody")
	shows("Item 1 was deleted.")
	got = s.itemsOf(t, "john.doe", demoPassword, http.MethodGet, "/items/1", "")
	if got.body != `{"item_id":1,"owner":"john.doe"}` {
		t.Errorf("john reads %s", got.body)
	}
	log := s.resourceserver.output.String()
	if !strings.Contains(log, `action="delete item"`) || !strings.Contains(log, "username=ada") {
		t.Error("the API's log does not say that ada deleted an item")
	}
	g.presses("Log out")
	g.sees("Log out?")
	open("/")
	g.sees("Item administration")
}

// Nothing is deleted if somebody else logs in the second time, and who is no administrator sees nothing.
func TestAdminExampleNeedsTheSameAdministrator(t *testing.T) {
	longTest(t)
	t.Parallel()
	s, site := startAdminExample(t)
	if got := s.itemsOf(t, "john.doe", demoPassword, http.MethodPut, "/items/1", `{"title":"Stays"}`); got.status != 201 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	g := newGuest(t, s, startWebsite(t))
	g.visit(site)
	g.sees("Item administration")
	g.presses("Log in")
	g.login("ada", adaPassword)
	g.sees("Allow access?")
	g.presses("Allow")
	g.sees("Items of everybody")
	g.presses("Delete")
	g.sees("Delete this item?")
	g.presses("Log in and delete")
	g.login("jane.smith", "anothersecurepass")
	g.sees("Allow access?")
	g.presses("Allow")
	g.sees("That did not work")
	if page := g.eval(`document.body.innerText`); !strings.Contains(page, "Only administrators may do this") {
		t.Errorf("jane sees:\n%s", page)
	}
	got := s.itemsOf(t, "john.doe", demoPassword, http.MethodGet, "/items/1", "")
	if !strings.Contains(got.body, "Stays") {
		t.Errorf("john reads %s", got.body)
	}
}

// Callbacks that this browser did not ask for, and forms of other websites, are refused.
func TestAdminExampleBadInput(t *testing.T) {
	longTest(t)
	t.Parallel()
	_, site := startAdminExample(t)
	for path, want := range map[string]int{
		"/callback":                  http.StatusBadRequest,
		"/callback?code=x&state=x":   http.StatusBadRequest,
		"/callback?error=x&state=":   http.StatusBadRequest,
		"/items/usr_1/1/delete":      http.StatusOK, // the page to log in
		"/nowhere":                   http.StatusNotFound,
		"/items/usr_1/1/delete?tag=": http.StatusOK,
	} {
		resp, err := http.Get(site + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("GET %s: status %d, want %d", path, resp.StatusCode, want)
		}
	}
	for _, path := range []string{"/login", "/logout", "/items/usr_1/1", "/items/usr_1/1/delete"} {
		body := strings.NewReader(url.Values{"title": {"x"}}.Encode())
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, site+path, body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "https://evil.example")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		resp, err := plain.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("POST %s from another website: status %d", path, resp.StatusCode)
		}
	}
}
