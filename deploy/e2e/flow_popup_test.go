package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// startPopupSite starts an app whose page opens the login in a popup and waits for a message
// from it.
func startPopupSite(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<!doctype html><link rel="icon" href="data:,"><h1>The app</h1><button>Log in</button><script>
			let opened;
			document.querySelector("button").onclick = () => {
				opened = open(new URLSearchParams(location.search).get("authorize"), "login", "popup,width=500,height=700");
			};
			onmessage = event => {
				document.querySelector("h1").textContent = "Logged in";
				document.body.dataset.brought = event.data;
				opened.close();
			};
		</script>`)
	})
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<!doctype html><link rel="icon" href="data:,"><h1>Back</h1><script>
			opener.postMessage(location.search, location.origin);
		</script>`)
	})
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)
	return site
}

// An app may show the login in a popup that sends it the result: our pages keep the
// connection between the two windows.
func TestFlowInPopup(t *testing.T) {
	longTest(t)
	t.Parallel()
	s := startDemo(t)
	site := startPopupSite(t)
	a := s.register(t, "app", site.URL+"/callback", "--public")
	g := newGuest(t, s, nil)
	authorize := s.authURL + "/authorize?" + a.query()
	g.visit(site.URL + "/?authorize=" + url.QueryEscape(authorize))
	opened := chromedp.WaitNewTarget(g.ctx, func(*target.Info) bool { return true })
	g.presses("Log in")
	var id target.ID
	select {
	case id = <-opened:
	case <-time.After(timeout):
		t.Fatal("the app opened no popup")
	}
	ctx, cancel := chromedp.NewContext(g.ctx, chromedp.WithTargetID(id))
	t.Cleanup(cancel)
	popup := &guest{page: &page{t: t, ctx: ctx}, base: g.base}
	popup.watch(t)

	popup.login("john.doe", demoPassword)
	popup.sees("Allow access?")
	g.check("whether the app has lost the popup", `opened.closed`, "false")
	popup.presses("Allow")

	g.sees("Logged in")
	brought, err := url.ParseQuery(g.eval(`document.body.dataset.brought.slice(1)`))
	if err != nil || brought.Get("state") != "the state" {
		t.Fatalf("the popup sent %v, %v", brought, err)
	}
	s.callMe(t, send(t, s.authURL, a.redemption(brought.Get("code"))).tokens(t).access, "John Doe")
}
