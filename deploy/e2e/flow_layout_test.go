package e2e_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// pageFaults is a script that checks the layout and the accessibility of a page. It returns one
// line for each fault.
const pageFaults = `(() => {
	const faults = [], screen = document.documentElement;
	const fault = (what, element) => faults.push(what + ": " + (element ? element.outerHTML.slice(0, 120) : ""));
	const numbers = color => (color.match(/[\d.]+/g) || []).map(Number);
	const light = color => {
		const [r, g, b] = numbers(color).map(c => c / 255).map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
		return .2126 * r + .7152 * g + .0722 * b;
	};
	const contrast = (a, b) => (Math.max(light(a), light(b)) + .05) / (Math.min(light(a), light(b)) + .05);
	const behind = element => {
		for (; element; element = element.parentElement) {
			const color = getComputedStyle(element).backgroundColor;
			if ((numbers(color)[3] ?? 1) > 0) return color;
		}
		return "rgb(255, 255, 255)";
	};
	if (document.querySelectorAll("h1").length !== 1) fault("not one h1");
	if (!["en", "ko", "de", "es"].includes(screen.lang)) fault("no language");
	if (!document.title) fault("no title");
	if (document.querySelectorAll("main").length !== 1) fault("not one main");
	if (document.querySelector("script:not([type=module], [src='/passkey.js']), [style], [onclick]"))
		fault("script or style in the page");
	const excess = screen.scrollWidth - screen.clientWidth;
	if (excess > 0) fault("wider than the screen by " + excess);
	const ids = [...document.querySelectorAll("[id]")].map(e => e.id);
	if (new Set(ids).size !== ids.length) fault("an id is used twice");
	for (const element of document.querySelectorAll("main, main *")) {
		const style = getComputedStyle(element), box = element.getBoundingClientRect();
		if (!box.width || element.type === "hidden") continue;
		if (box.left < 0 || box.right > screen.clientWidth) fault("outside the screen", element);
		if (element.scrollWidth > element.clientWidth + 1 && element.clientWidth && element.tagName !== "INPUT")
			fault("text overflows its box", element);
		const text = [...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
		const textContrast = contrast(style.color, behind(element));
		if (text && textContrast < 4.5) fault("contrast " + textContrast.toFixed(2), element);
		for (const id of (element.getAttribute("aria-describedby") || "").split(" ").filter(Boolean))
			if (!document.getElementById(id)?.textContent.trim()) fault("its description is missing", element);
		if (element.matches("input, button")) {
			const clickable = element.closest("label") ?? element;
			if (clickable.getBoundingClientRect().height < 24) fault("too small to click", element);
			if (parseFloat(style.fontSize) < 16) fault("a phone would zoom in on it", element);
		}
		if (element.matches("input")) {
			if (!element.labels.length) fault("no label", element);
			if (element.matches("[type=text], [type=email], [type=password]")) {
				if (contrast(style.borderTopColor, behind(element)) < 3) fault("border contrast", element);
				if (!element.autocomplete) fault("no hint for password managers", element);
			}
		}
	}
	return faults.join("\n");
})()`

// show sets the size of the screen and the color scheme.
func (g *guest) show(width, height int64, scheme string) {
	g.t.Helper()
	g.do("setting the screen up",
		chromedp.EmulateViewport(width, height),
		chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
			_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
			})
			return err
		}))
}

// picture writes a screenshot of the page to the artifacts of the test.
func (g *guest) picture(name string) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.ctx, timeout)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		g.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(g.t.ArtifactDir(), name+".png"), picture, 0o644); err != nil {
		g.t.Fatal(err)
	}
}

// inspect checks the page on each kind of screen, and keeps pictures of it.
func (g *guest) inspect(name string) {
	g.t.Helper()
	for _, screen := range []struct {
		name          string
		width, height int64
	}{{"phone", 390, 844}, {"small-phone", 320, 568}, {"desktop", 1280, 800}} {
		for _, scheme := range []string{"light", "dark"} {
			g.show(screen.width, screen.height, scheme)
			if faults := g.eval(pageFaults); faults != "" {
				g.t.Errorf("%s on a %s, %s:\n%s", name, screen.name, scheme, faults)
			}
			g.isAccessible(name)
			g.picture(strings.Join([]string{name, screen.name, scheme}, "-"))
		}
	}
}

// Every page is readable and usable on phones and on a desktop, in light and in dark.
// `go test -run TestFlowPagesAreReadable -artifacts` keeps the screenshots.
func TestFlowPagesAreReadable(t *testing.T) {
	longTest(t)
	t.Parallel()
	s := startDemo(t)
	site := startWebsite(t)
	callback := site.URL + "/callback"
	plain := s.register(t, "plain", callback, "--public", "--name", "Photo Album")
	long := s.register(t, "long", callback, "--public",
		"--scope", "profile items:read items:write contacts:read contacts:write calendar:read calendar:write "+
			"https://api.example.com/a-scope-that-is-a-very-long-address/and-goes-on-and-on openid email",
		"--name", "Rechtsschutzversicherungsgesellschaftenverwaltung International (Deutschland) "+
			"Beteiligungs- und Vermögensverwaltungs-GmbH")
	g := newGuest(t, s, site)
	loggedIn := func() {
		g.open(plain)
		g.login("john.doe", demoPassword)
		g.sees("Allow access?")
	}
	pages := []struct {
		name string
		open func()
	}{
		{"login", func() { g.open(plain); g.sees("Log in") }},
		{"login-wrong", func() {
			g.open(plain)
			g.login("john.doe", "wrong")
			g.do("waiting", chromedp.WaitVisible(chromedp.CSS("#error")))
		}},
		{"login-long", func() { g.open(long, "login_hint", strings.Repeat("m", 128)); g.sees("Log in") }},
		{"broken", func() { g.open(long, "redirect_uri", "https://evil.example"); g.sees("This link is broken") }},
		{"landing", func() { g.visit(g.base + "/"); g.sees("Login service") }},
		{"not-found", func() { g.visit(g.base + "/nowhere"); g.sees("Page not found") }},
		{"consent", loggedIn},
		{"consent-long", func() { g.open(long); g.sees("Allow access?") }},
		{"logout", func() { g.visit(g.base + "/logout"); g.sees("Log out?") }},
		{"end-session", func() { g.visit(g.base + "/end_session"); g.sees("Log out?") }},
		{"end-session-long", func() {
			g.visit(g.base + "/end_session?client_id=long")
			g.sees("Log out?")
		}},
		{"end-session-stay", func() { g.presses("Cancel"); g.sees("Still logged in") }},
		{"end-session-broken", func() {
			g.visit(g.base + "/end_session?id_token_hint=x")
			g.sees("This link is broken")
		}},
		{"logout-from-broken", func() { g.presses("Log out here"); g.sees("Log out?") }},
		{"logged-out", func() {
			g.visit(g.base + "/end_session?client_id=plain")
			g.sees("Log out?")
			g.presses("Log out")
			g.sees("Logged out")
		}},
	}
	for _, page := range pages {
		page.open()
		g.inspect(page.name)
	}
}

// The pages can be used with the keyboard alone. Tab follows the order of the page, and the
// focus is visible.
func TestFlowKeyboard(t *testing.T) {
	longTest(t)
	t.Parallel()
	s := startDemo(t)
	site := startWebsite(t)
	a := s.register(t, "app", site.URL+"/callback", "--public", "--name", "Photo Album")
	g := newGuest(t, s, site)
	focus := `[document.activeElement.tagName, document.activeElement.name, document.activeElement.value].join(" ")`
	ring := `(s => s.outlineStyle + " " + (parseFloat(s.outlineWidth) >= 2))(getComputedStyle(document.activeElement))`
	walk := func(stops ...string) {
		t.Helper()
		for i, stop := range stops {
			if i > 0 {
				g.types(kb.Tab)
			}
			g.check("the focus", focus, stop)
			g.check("its ring", ring, "solid true")
		}
	}
	g.open(a)
	g.sees("Log in")
	walk("INPUT username ", "INPUT password ", "BUTTON  ")
	g.open(a)
	g.login("john.doe", demoPassword)
	g.sees("Allow access?")
	g.types(kb.Tab)
	walk("BUTTON decision allow", "BUTTON decision deny")
	g.types(" ")
	g.cameBack("access_denied")
	g.visit(g.base + "/logout")
	g.sees("Log out?")
	g.types(kb.Tab)
	walk("INPUT apps end", "BUTTON  ")
	g.types(kb.Enter)
	g.sees("Logged out")
}
