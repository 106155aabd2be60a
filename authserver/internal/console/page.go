package console

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed pages
var files embed.FS

// stylePath is the path of the style sheet that comes after the one of all pages.
const stylePath = basePath + "/console.css"

// page is what a page shows.
type page struct {
	Title    string // and heading
	Trail    []link // to the pages above this one
	Done     string // what has just been done
	Sections []section

	status   int    // 0 means 200
	location string // where the browser is sent instead
	outside  bool   // the reader may not use the console: the page has no menu
}

// goTo returns what sends the browser to another page (303).
func goTo(path string) page { return page{location: path} }

// link is a link to a page.
type link struct {
	Path, Text string
	Bad        bool // what the page is for destroys something
}

// to returns a link.
func to(path, text string) link { return link{Path: path, Text: text} }

// section is a part of a page. The parts come in the order of the fields.
type section struct {
	Title   string // of its own heading; may be empty
	Problem string // why a form was refused, on a page that has none
	Text    []string
	Warning string
	Facts   []fact
	Chart   *chart
	Search  *search
	Links   []link // to pages that are about this
	Table   *table
	Next    string // link to the next page of the table
	First   string // link to the first page of the table
	Form    *form
	Copies  []copyText
	After   string // a paragraph after all that
}

// ID returns the id of the heading.
func (s section) ID() string {
	return "s-" + strings.ReplaceAll(strings.ToLower(s.Title), " ", "-")
}

// fact is a name and a value.
type fact struct {
	Name  string
	Value cell
}

// copyText is text to copy into something else.
type copyText struct{ Label, Text string }

// search is a form that finds entries of a table.
type search struct {
	Action string
	Fields []*field
}

// table is a table. The first column names the row.
type table struct {
	Caption string
	Columns []string
	Rows    [][]cell
	Empty   string // what to say instead of a table without rows
}

// cell is a value in a table or of a fact.
type cell struct {
	Text   string
	Href   string // the text is a link to it
	Code   bool   // the text is for programs
	Number bool
	At     time.Time // instead of a text
	Badge  string    // what is special, after the text
	Bad    bool      // the badge is about something bad
	Soft   bool      // the text is less important
	Whole  bool      // the text is short and stays on one line
	Act    *act      // a button or a link that does something about the row
}

// act is something to do with a row.
type act struct {
	Href  string // of the page that asks first
	Text  string
	About string // for people who do not see the row
}

// text, code, at and number return cells.
func text(s string) cell { return cell{Text: s} }

func code(s string) cell { return cell{Text: s, Code: true} }

func at(t time.Time) cell { return cell{At: t} }

func atOptional(t *time.Time) cell {
	if t == nil {
		return cell{Text: "never", Soft: true}
	}
	return at(*t)
}

func number[N ~int | ~int64](n N) cell {
	return cell{Text: strconv.FormatInt(int64(n), 10), Number: true}
}

// list returns a cell with texts; none if there are none.
func list(texts []string) cell {
	if len(texts) == 0 {
		return cell{Text: "none", Soft: true}
	}
	return cell{Text: strings.Join(texts, ", ")}
}

// orNone returns a cell with a text that may be empty.
func orNone(s string) cell {
	if s == "" {
		return cell{Text: "none", Soft: true}
	}
	return cell{Text: s}
}

// address returns a path with parameters, given as alternating names and values. Empty values are left out.
func address(path string, pairs ...string) string {
	query := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			query.Set(pairs[i], pairs[i+1])
		}
	}
	if len(query) == 0 {
		return path
	}
	return path + "?" + query.Encode()
}

// menu are the pages that every page links to.
var menu = []link{
	to(basePath, "Overview"), to(usersPath, "Users"), to(groupsPath, "Groups"), to(invitationsPath, "Invitations"),
	to(clientsPath, "Clients"), to(apisPath, "APIs"), to(scopesPath, "Scopes"), to(keysPath, "Keys"),
	to(auditPath, "Audit log"), to(webhooksPath, "Webhooks"),
}

// frame is the data of the template.
type frame struct {
	page
	Service       string
	HasLogo       bool
	Menu          []menuLink
	Username      string
	UserID        string
	OneFactor     bool
	HasProblem    bool
	DocumentTitle string
}

type menuLink struct {
	link
	Current string // of aria-current; empty for another page
}

// parseTemplates returns the templates, which it parses when the first console is made.
var parseTemplates = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("frame").Funcs(template.FuncMap{
		"day":     day,
		"machine": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"join":    strings.Join,
	}).ParseFS(files, "pages/*.html"))
})

// render writes a page. Its Content-Security-Policy is that of the other pages.
func (c *Console) render(v *visit, p page) {
	h := v.w.Header()
	h.Set("Cache-Control", "no-store")
	if p.location != "" {
		h.Set("Referrer-Policy", "no-referrer")
		h["Location"] = []string{p.location}
		v.w.WriteHeader(http.StatusSeeOther)
		return
	}
	f := frame{page: p, OneFactor: c.cfg.WithoutSecondFactor, HasProblem: p.refused()}
	f.Service, f.HasLogo = c.cfg.Site.Brand()
	if !p.outside && v.user.ID != "" {
		f.Menu, f.Username, f.UserID = menuFor(v.r.URL.Path), v.user.Username, v.user.ID
	}
	var body bytes.Buffer
	if err := c.templates.ExecuteTemplate(&body, "frame", f); err != nil {
		panic(err) // the template does not fit the page type
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", "en")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "+
		"frame-ancestors 'none'; form-action 'self'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin") // with no-referrer, browsers send our own forms with "Origin: null"
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	v.w.WriteHeader(max(p.status, http.StatusOK))
	_, _ = v.w.Write(body.Bytes()) // fails only if the browser has disconnected
}

// menuFor returns the menu on a page with a path.
func menuFor(path string) (links []menuLink) {
	for _, l := range menu {
		current := ""
		switch one := strings.TrimSuffix(l.Path, "s"); { // the pages about a user are below /admin/user
		case l.Path == path:
			current = "page"
		case l.Path != basePath && (path == one || strings.HasPrefix(path, one+"/") || strings.HasPrefix(path, l.Path+"/")):
			current = "true"
		}
		links = append(links, menuLink{l, current})
	}
	return links
}

// serveStyle serves the style sheet.
func serveStyle(w http.ResponseWriter, r *http.Request) {
	sheet, err := files.ReadFile("pages/console.css")
	if err != nil {
		panic(err)
	}
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=3600")
	h.Set("Content-Type", "text/css; charset=utf-8")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(sheet))
}
