package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// artifacts is the folder for screenshots of failed tests.
const artifacts = "artifacts"

// browserFlags turn Chromium's own connections off, and let it run without a display and a
// sandbox.
var browserFlags = append(chromedp.DefaultExecAllocatorOptions[:],
	chromedp.NoSandbox,
	chromedp.DisableGPU,
	chromedp.Flag("disable-quic", true),
	chromedp.Flag("disable-component-update", true),
	chromedp.WindowSize(1200, 1600),
	chromedp.Flag("host-resolver-rules", "MAP "+networkName+" 127.0.0.1"),
)

// networkName is a host name that leads to this machine. Browsers trust plain http on
// loopback addresses, but not on this name.
const networkName = "login.test"

// page is a page in a fresh Chromium.
type page struct {
	t   *testing.T
	ctx context.Context
}

// newPage starts Chromium. An exception in a script of the page fails the test. If the test
// fails, a screenshot of the page is kept.
func newPage(t *testing.T) *page {
	t.Helper()
	path := findBrowser()
	if path == "" {
		leftOut(t, "tests in a browser, which need Chromium")
	}
	flags := append(slices.Clip(browserFlags), chromedp.ExecPath(path))
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), flags...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting %s: %v", path, err)
	}
	err := chromedp.Listen(ctx, func(event any) {
		if thrown, ok := event.(*runtime.EventExceptionThrown); ok {
			t.Errorf("a script of the page threw %v", thrown.ExceptionDetails)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	p := &page{t: t, ctx: ctx}
	t.Cleanup(p.keepPicture)
	return p
}

// findBrowser returns the path of Chromium, empty if it is not installed.
func findBrowser() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// do runs steps in the browser. what describes them in the error of the test.
func (p *page) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, timeout)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
}

// visit opens an address and waits until the browser has left the page that it shows now. Navigate alone may return too
// early: it takes the event that this page has loaded for its own if that comes late.
func (p *page) visit(address string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, timeout)
	defer cancel()
	_, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`window.toBeLeft = true`))
	if err == nil {
		err = chromedp.Do(ctx, chromedp.Navigate(address))
	}
	for left := false; err == nil && !left; err = ctx.Err() {
		// An error means that the browser is leaving the page.
		left, _ = chromedp.Run(ctx, chromedp.Evaluate[bool](`!window.toBeLeft`))
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		p.t.Fatalf("opening %s: %v", address, err)
	}
}

// text waits for an element and returns its visible text.
func (p *page) text(selector chromedp.CSS) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, timeout)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Text(selector, chromedp.NodeVisible))
	if err != nil {
		p.t.Fatalf("reading %s: %v", selector, err)
	}
	return text
}

// keepPicture writes a screenshot of the page to artifacts if the test has failed.
func (p *page) keepPicture() {
	if !p.t.Failed() {
		return
	}
	ctx, cancel := context.WithTimeout(p.ctx, timeout)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100)) // 100 makes it a PNG
	if err != nil {
		p.t.Logf("no screenshot of the page: %v", err)
		return
	}
	path := filepath.Join(artifacts, strings.ReplaceAll(p.t.Name(), "/", "_")+".png")
	if err := os.MkdirAll(artifacts, 0o755); err != nil {
		p.t.Log(err)
	}
	if err := os.WriteFile(path, picture, 0o644); err != nil {
		p.t.Log(err)
	}
	p.t.Logf("a screenshot of the page is in %s", path)
}

// docsDialog is the dialog behind the Authorize button of Swagger UI.
const docsDialog = `.modal-ux `

// authorizeInDocs logs John Doe in with the Authorize button of Swagger UI.
func (p *page) authorizeInDocs() {
	p.t.Helper()
	const login = docsDialog + `.auth-container:has(#oauth_username) ` // the page has a form for each flow
	p.do("logging in",
		chromedp.Click(chromedp.CSS(`.btn.authorize`)),
		chromedp.SendKeys(chromedp.CSS(login+`#oauth_username`), "john.doe"),
		chromedp.SendKeys(chromedp.CSS(login+`#oauth_password`), demoPassword),
		chromedp.Click(chromedp.CSS(login+`.auth-btn-wrapper .authorize`)),
		chromedp.WaitNotPresent(chromedp.CSS(docsDialog+`#oauth_password`)), // it disappears after the login
		chromedp.Click(chromedp.CSS(docsDialog+`.btn-done`)),
	)
}

// tryInDocs calls an operation with Swagger UI. The response must be 200 and have the text in it.
func (p *page) tryInDocs(operation, text string) {
	p.t.Helper()
	result := operation + `.live-responses-table tbody `
	p.do("trying the call",
		chromedp.Click(chromedp.CSS(operation+`.opblock-summary-control`)),
		chromedp.Click(chromedp.CSS(operation+`.try-out__btn`)),
		chromedp.Click(chromedp.CSS(operation+`.execute`)),
	)
	if status := p.text(chromedp.CSS(result + `.response-col_status`)); !strings.HasPrefix(status, "200") {
		p.t.Errorf("the page shows the status %q, want 200", status)
	}
	if body := p.text(chromedp.CSS(result + `.response-col_description`)); !strings.Contains(body, text) {
		p.t.Errorf("the page shows %q, want %s in it", body, text)
	}
}

// A user opens the docs page, logs in with the Authorize button and tries a call: the
// password flow across two origins, in a real browser.
func TestDocsPageInBrowser(t *testing.T) {
	t.Parallel()
	const operation = `#operations-users-get-users-me `
	p := newPage(t)
	s := startDemo(t)
	p.do("opening the page",
		chromedp.Navigate(s.apiURL+"/docs"),
		chromedp.WaitVisible(chromedp.CSS(operation)),
	)
	p.authorizeInDocs()
	p.tryInDocs(operation, "John Doe")
}
