package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// artifacts is where a failed test leaves a picture of what it saw.
const artifacts = "artifacts"

// browserFlags keep Chromium from calling home, and let it run where there is
// neither a display nor a sandbox.
var browserFlags = append(chromedp.DefaultExecAllocatorOptions[:],
	chromedp.NoSandbox,
	chromedp.DisableGPU,
	chromedp.Flag("disable-quic", true),
	chromedp.Flag("disable-component-update", true),
	chromedp.WindowSize(1200, 1600),
	chromedp.Flag("host-resolver-rules", "MAP "+networkName+" 127.0.0.1"),
)

// networkName is a name of this machine that is not one of the loopback network, whose
// plain http browsers trust.
const networkName = "login.test"

// page is a page in a fresh Chromium.
type page struct {
	t   *testing.T
	ctx context.Context
}

// newPage starts Chromium. What a script of the page throws fails the test; a picture
// of the page is kept when the test fails.
func newPage(t *testing.T) *page {
	t.Helper()
	path := findBrowser()
	if path == "" {
		leftOut(t, "the docs page in a browser, which needs Chromium")
	}
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), append(browserFlags, chromedp.ExecPath(path))...)
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

// findBrowser returns the path of a Chromium, or nothing.
func findBrowser() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// do carries out the steps of what the test calls what.
func (p *page) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, timeout)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
}

// text returns the visible text of an element, once it is there.
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

// keepPicture writes what the page looks like to the artifacts if the test failed.
func (p *page) keepPicture() {
	if !p.t.Failed() {
		return
	}
	ctx, cancel := context.WithTimeout(p.ctx, timeout)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100)) // 100 makes it a PNG
	if err != nil {
		p.t.Logf("no picture of the page: %v", err)
		return
	}
	path := filepath.Join(artifacts, strings.ReplaceAll(p.t.Name(), "/", "_")+".png")
	if err := os.MkdirAll(artifacts, 0o755); err != nil {
		p.t.Log(err)
	}
	if err := os.WriteFile(path, picture, 0o644); err != nil {
		p.t.Log(err)
	}
	p.t.Logf("a picture of the page is in %s", path)
}

// Somebody opens the docs page, logs in with the Authorize button and tries a call:
// the password flow across two origins, in a real browser.
func TestDocsPageInBrowser(t *testing.T) {
	t.Parallel()
	const (
		dialog    = `.modal-ux `
		login     = dialog + `.auth-container:has(#oauth_username) ` // one form for each way to log in
		operation = `#operations-users-get-users-me `
		result    = operation + `.live-responses-table tbody `
	)
	p := newPage(t)
	s := startDemo(t)
	p.do("opening the page",
		chromedp.Navigate(s.apiURL+"/docs"),
		chromedp.WaitVisible(chromedp.CSS(operation)),
	)
	p.do("logging in",
		chromedp.Click(chromedp.CSS(`.btn.authorize`)),
		chromedp.SendKeys(chromedp.CSS(login+`#oauth_username`), "john.doe"),
		chromedp.SendKeys(chromedp.CSS(login+`#oauth_password`), demoPassword),
		chromedp.Click(chromedp.CSS(login+`.auth-btn-wrapper .authorize`)),
		chromedp.WaitNotPresent(chromedp.CSS(dialog+`#oauth_password`)), // it goes when the token is there
		chromedp.Click(chromedp.CSS(dialog+`.btn-done`)),
	)
	p.do("trying the call",
		chromedp.Click(chromedp.CSS(operation+`.opblock-summary-control`)),
		chromedp.Click(chromedp.CSS(operation+`.try-out__btn`)),
		chromedp.Click(chromedp.CSS(operation+`.execute`)),
	)
	if status := p.text(result + `.response-col_status`); !strings.HasPrefix(status, "200") {
		t.Errorf("the page shows the status %q, want 200", status)
	}
	if body := p.text(result + `.response-col_description`); !strings.Contains(body, "John Doe") {
		t.Errorf("the page shows %q, want John Doe in it", body)
	}
}
