package e2e_test

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// takePictures is set by `make pictures`.
var takePictures = flag.Bool("pictures", false, "take the pictures of deploy/docs/pictures again")

// picturesFolder has the pictures of the documentation.
const picturesFolder = "deploy/docs/pictures"

// maxPicture is how many bytes a picture may have.
const maxPicture = 60_000

// TestTakePictures takes the pictures of the documentation from a browser, and throws them away unless -pictures is
// set. With -artifacts it also keeps pictures of the same pages on a phone.
func TestTakePictures(t *testing.T) {
	longTest(t)
	t.Run("login", takeLoginPictures)
	t.Run("mail", takeMailPictures)
	t.Run("theme", takeThemePictures)
	t.Run("admin", takeAdminPictures)
	t.Run("spa", takeSPAPictures)
	t.Run("console", takeConsolePictures)
}

func takeLoginPictures(t *testing.T) {
	s := newSystem(t)
	s.startAuthserver(t, "--demo", "--mail-inbox=on") // for the link to the page for a forgotten password
	site := startWebsite(t)
	album := s.register(t, "album", "https://album.example/callback", "--public", "--name", "Photo Album",
		"--scope", "profile items:read items:write")
	g := newGuest(t, s, site)
	g.open(album, "scope", "profile items:read items:write")
	g.sees("Log in")
	g.keep("login")
	g.login("john.doe", demoPassword)
	g.sees("Allow access?")
	g.keep("consent")
}

func takeMailPictures(t *testing.T) {
	s := newSystem(t)
	s.startAuthserver(t, "--demo", "--mail-inbox=on")
	s.admin(t, "", "user", "set", "john.doe", "--email", "john@example.com", "--email-verified")
	g := newGuest(t, s, startWebsite(t))
	g.visit(s.authURL + "/forgot")
	g.sees("Forgot your password?")
	g.keep("forgotten-password")
	g.types("john.doe" + kb.Enter)
	waitFor(t, "the mail", func() bool {
		return strings.Contains(s.admin(t, "", "mail", "list"), "john@example.com")
	}, s.authserver)
	g.visit("http://" + s.authAdmin + "/mail")
	g.sees("Emails")
	g.keep("inbox")
}

func takeThemePictures(t *testing.T) {
	s := newSystem(t)
	s.startAuthserver(t, "--demo", "--theme-dir", writeTheme(t))
	album := s.register(t, "album", "https://album.example/callback", "--public", "--name", "Photo Album",
		"--scope", "profile openid email")
	g := newGuest(t, s, startWebsite(t))
	g.open(album, "ui_locales", "ko", "scope", "profile openid email")
	g.sees("로그인")
	g.keep("login-korean")
	g.types("john.doe" + kb.Tab + demoPassword + kb.Enter)
	g.sees("접근을 허용하시겠습니까?")
	g.open(album, "ui_locales", "de", "scope", "profile openid email")
	g.sees("Zugriff zulassen?")
	g.keep("consent-german")
}

func takeAdminPictures(t *testing.T) {
	s, site := startAdminExample(t)
	for path, body := range map[string]string{
		"/items/1": `{"title":"Buy milk","note":"Two bottles\nand some cream"}`,
		"/items/2": `{"title":"Water the plants"}`,
		"/items/3": `{"title":"Call the dentist","note":"Before Friday"}`,
	} {
		got := s.itemsOf(t, "john.doe", demoPassword, http.MethodPut, path, body)
		if got.status != http.StatusCreated {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	g := newGuest(t, s, startWebsite(t))
	g.visit(site)
	g.sees("Item administration")
	g.presses("Log in")
	g.login("ada", adaPassword)
	g.sees("Allow access?")
	g.presses("Allow")
	g.sees("Items of everybody")
	g.keep("admin")
}

func takeSPAPictures(t *testing.T) {
	s, page := startSPA(t)
	g := newGuest(t, s, nil)
	g.openPage(page, loggedOutText)
	g.presses("Log in")
	g.login("john.doe", demoPassword)
	g.sees("Allow access?")
	g.presses("Allow")
	g.waitText("#status", loggedInText)
	g.presses("Show my profile")
	g.waitText("#values", "John Doe")
	g.keep("single-page-app")
}

// takeConsolePictures takes those of the administrators' console.
func takeConsolePictures(t *testing.T) {
	s := newSystem(t)
	s.startAuthserver(t, "--admin-console", "--demo", "--mail-inbox=on")
	s.fillConsole(t)
	a := newAdministrator(t, s)
	a.goes("/admin", "Overview")
	a.keepWide("console")
	a.goes("/admin/user?name=grace", "grace")
	a.keepWide("console-user")
	a.goes("/admin/clients/new", "Register a client")
	a.do("typing",
		chromedp.SendKeys(chromedp.CSS("#f-name"), "Reports"),
		chromedp.SetValue(chromedp.CSS("#f-id"), "reports"),
		chromedp.SendKeys(chromedp.CSS("#f-redirect_uris"), "https://reports.example/callback"),
		chromedp.SendKeys(chromedp.CSS("#f-scope"), "openid profile email"+kb.Enter),
	)
	a.sees("Reports")
	a.keepWide("console-client")
}

// keep writes a picture of the page, with two pixels for each of CSS. Both servers have their addresses of `make run`
// there.
func (g *guest) keep(name string) {
	g.t.Helper()
	g.keepAt(name, 760, 480, 2, chromedp.FullScreenshot(100)) // 100 makes it a PNG
}

// keepWide is keep for a page that is made for a wide screen. The picture ends at the bottom of the screen, and has one
// pixel for each of CSS.
func (g *guest) keepWide(name string) {
	g.t.Helper()
	g.keepAt(name, 1080, 760, 1, chromedp.CaptureScreenshot())
}

// keepAt writes a picture of the page on a screen with a width and a height in pixels of CSS, and scale pixels for
// each.
func (g *guest) keepAt(name string, width, height int64, scale float64, take chromedp.Action[[]byte]) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.ctx, timeout)
	defer cancel()
	g.eval(fmt.Sprintf(`(() => {
		const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
		while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data
			.replaceAll(%q, "127.0.0.1:9000").replaceAll(%q, "127.0.0.1:8000");
	})()`, strings.TrimPrefix(g.base, "http://"), strings.TrimPrefix(cmp.Or(g.api, g.base), "http://")))
	g.show(390, 844, "light")
	g.picture(name + "-phone")
	g.do("setting the screen up", chromedp.EmulateViewport(width, height, chromedp.EmulateScale(scale)))
	taken, err := chromedp.Run(ctx, take)
	if err != nil {
		g.t.Fatal(err)
	}
	small, err := compress(taken)
	if err != nil {
		g.t.Fatal(err)
	}
	folder := g.t.TempDir()
	if *takePictures {
		folder = filepath.Join(root, picturesFolder)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		g.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), small, 0o644); err != nil {
		g.t.Fatal(err)
	}
}

// compress returns a PNG with the 256 most frequent colors of another one.
func compress(picture []byte) ([]byte, error) {
	full, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		return nil, err
	}
	area, numbers := full.Bounds(), map[color.Color]int{}
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			numbers[full.At(x, y)]++
		}
	}
	colors := make(color.Palette, 0, len(numbers))
	for c := range numbers {
		colors = append(colors, c)
	}
	slices.SortFunc(colors, func(a, b color.Color) int { return numbers[b] - numbers[a] })
	reduced := image.NewPaletted(area, colors[:min(len(colors), 256)])
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			reduced.Set(x, y, full.At(x, y))
		}
	}
	var out bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, reduced)
	return out.Bytes(), err
}

// Each picture is small, and a page shows it with a text for those who do not see it.
func TestPicturesOfTheDocumentation(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(root, picturesFolder, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no pictures: %v", picturesFolder, err)
	}
	pages, err := filepath.Glob(filepath.Join(root, "deploy/docs/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	reference := regexp.MustCompile(`!\[([^\]]*)\]\((pictures/[^)]+)\)`)
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range reference.FindAllStringSubmatch(string(text), -1) {
			shown[filepath.Base(found[2])] = true
			if len(found[1]) < 20 {
				t.Errorf("%s: the text %q does not describe %s", filepath.Base(page), found[1], found[2])
			}
			if _, err := os.Stat(filepath.Join(root, "deploy/docs", found[2])); err != nil {
				t.Errorf("%s: %v", filepath.Base(page), err)
			}
		}
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := png.DecodeConfig(bytes.NewReader(content)); err != nil || len(content) > maxPicture {
			t.Errorf("%s has %d bytes, want a PNG of %d at most: %v", filepath.Base(file), len(content), maxPicture, err)
		}
		if !shown[filepath.Base(file)] {
			t.Errorf("no page shows %s", filepath.Base(file))
		}
	}
}
