package e2e_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"

	"github.com/chromedp/chromedp"
)

// axe returns the script of axe-core, which checks the accessibility of a page; empty if it is not installed.
var axe = sync.OnceValue(func() string {
	script, err := os.ReadFile(filepath.Join("thirdparty", "node", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		return ""
	}
	return string(script)
})

// violations is a script that returns one line for each rule that the page violates.
const violations = `;axe.run().then(found => found.violations.map(v => v.id + ": " + v.help + " " +
	v.nodes.map(n => n.html).join(" ")).join("\n"))`

// isAccessible checks the page with axe-core, if that is installed.
func (g *guest) isAccessible(name string) {
	g.t.Helper()
	if axe() == "" {
		return
	}
	ctx, cancel := context.WithTimeout(g.ctx, timeout)
	defer cancel()
	faults, err := chromedp.Run(ctx, chromedp.Evaluate[string](axe()+violations, chromedp.EvalAwaitPromise))
	if err != nil || faults != "" {
		g.t.Errorf("axe-core on %s: %v\n%s", name, err, faults)
	}
}
