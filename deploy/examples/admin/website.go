package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// website has the pages.
type website struct {
	sessions *sessions
	items    itemsAPI
	provider *oidc.Provider
	client   oauth2.Config
	issuer   string
}

//go:embed pages
var files embed.FS

var pages = template.Must(template.ParseFS(files, "pages/*.html"))

// maxForm limits the body of a request, in bytes.
const maxForm = 128 << 10

// handler returns the handler of the website. Forms of other origins are refused.
func (s *website) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.loggedIn(s.list))
	mux.HandleFunc("GET /items/{owner}/{number}", s.loggedIn(s.edit))
	mux.HandleFunc("POST /items/{owner}/{number}", s.loggedIn(s.save))
	mux.HandleFunc("GET /items/{owner}/{number}/delete", s.loggedIn(s.confirm))
	mux.HandleFunc("POST /items/{owner}/{number}/delete", s.loggedIn(s.remove))
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) { s.begin(w, r, nil) })
	mux.HandleFunc("GET /callback", s.callback)
	mux.HandleFunc("POST /logout", s.logout)
	mux.HandleFunc("GET /style.css", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, files, "pages/style.css")
	})
	return http.MaxBytesHandler(http.NewCrossOriginProtection().Handler(s.secured(mux)), maxForm)
}

// secured sets the header fields of all pages. Forms may lead to the authorization server.
func (s *website) secured(next http.Handler) http.Handler {
	policy := "default-src 'none'; style-src 'self'; form-action 'self' " + s.issuer +
		"; base-uri 'none'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "same-origin")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// view is what a page shows.
type view struct {
	Title  string
	Error  string // what went wrong
	Notice string
	User   string // name of who is logged in

	Items        []item // of the list
	Search, Next string
	Item         item // of the other pages
}

// show writes a page.
func (s *website) show(w http.ResponseWriter, status int, name string, v view) {
	var body bytes.Buffer
	if err := pages.ExecuteTemplate(&body, name+".html", v); err != nil {
		slog.Error("page", "name", name, "error", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = body.WriteTo(w) // an error means that the browser has disconnected
}

// fail writes a page that says what went wrong.
func (s *website) fail(w http.ResponseWriter, status int, text string) {
	s.show(w, status, "message", view{Title: "That did not work", Error: text})
}

// refuse responds to an error of the API: it ends the session if the token is refused.
func (s *website) refuse(w http.ResponseWriter, r *http.Request, u *user, err error) {
	var refused *apiError
	if errors.As(err, &refused) && refused.status == http.StatusUnauthorized {
		s.sessions.end(w, r)
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	status := http.StatusBadGateway
	if refused != nil && refused.status < http.StatusInternalServerError {
		status = refused.status
	}
	s.show(w, status, "message", view{Title: "That did not work", Error: explain(err), User: u.name})
}

// loggedIn returns a handler that shows a page to log in to users who are not.
func (s *website) loggedIn(next func(http.ResponseWriter, *http.Request, *user)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		current := s.sessions.get(r)
		if current.user == nil || time.Now().After(current.user.expires) {
			s.show(w, http.StatusOK, "login", view{Title: "Item administration", Notice: current.notice})
			return
		}
		next(w, r, current.user)
	}
}

// list shows the items of everybody.
func (s *website) list(w http.ResponseWriter, r *http.Request, u *user) {
	query := url.Values{"limit": {"20"}}
	for _, name := range []string{"title", "cursor"} {
		if value := r.FormValue(name); value != "" {
			query.Set(name, value)
		}
	}
	page, err := s.items.list(r.Context(), u.token, query)
	if err != nil {
		s.refuse(w, r, u, err)
		return
	}
	v := view{
		Title: "Items of everybody", User: u.name, Notice: s.sessions.takeNotice(r),
		Items: page.Items, Search: r.FormValue("title"),
	}
	if page.NextCursor != "" {
		v.Next = "/?" + url.Values{"title": {v.Search}, "cursor": {page.NextCursor}}.Encode()
	}
	s.show(w, http.StatusOK, "list", v)
}

// shown shows a page about an item.
func (s *website) shown(w http.ResponseWriter, r *http.Request, u *user, page, title string) {
	i, err := s.items.get(r.Context(), u.token, r.PathValue("owner"), r.PathValue("number"))
	if err != nil {
		s.refuse(w, r, u, err)
		return
	}
	s.show(w, http.StatusOK, page, view{Title: title, User: u.name, Item: i})
}

// edit shows the form of an item.
func (s *website) edit(w http.ResponseWriter, r *http.Request, u *user) {
	s.shown(w, r, u, "edit", "Change item")
}

// confirm asks whether to delete an item.
func (s *website) confirm(w http.ResponseWriter, r *http.Request, u *user) {
	s.shown(w, r, u, "delete", "Delete this item?")
}

// noTag is the response to a form without the tag of the item that it was shown for: the item would be changed
// whatever it is now.
const noTag = "The form does not say which state of the item it is for. Go back to the list and open the item again."

// save writes an item, unless it has changed since the form was shown.
func (s *website) save(w http.ResponseWriter, r *http.Request, u *user) {
	owner, number, tag := r.PathValue("owner"), r.PathValue("number"), r.FormValue("tag")
	if tag == "" {
		s.fail(w, http.StatusBadRequest, noTag)
		return
	}
	note := strings.ReplaceAll(r.FormValue("note"), "\r\n", "\n") // as browsers end lines
	d := draft{Title: r.FormValue("title"), Note: note}
	err := s.items.write(r.Context(), u.token, owner, number, tag, d)
	var refused *apiError
	if errors.As(err, &refused) && refused.status == http.StatusUnprocessableEntity {
		i := item{ItemID: json.Number(number), Owner: owner, OwnerID: owner, Title: d.Title, Note: d.Note, Tag: tag}
		v := view{Title: "Change item", User: u.name, Item: i, Error: refused.detail}
		s.show(w, http.StatusUnprocessableEntity, "edit", v)
		return
	}
	if err != nil {
		s.refuse(w, r, u, err)
		return
	}
	current := s.sessions.get(r)
	current.notice = "Item " + number + " was saved."
	s.sessions.put(w, r, current)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// remove begins the second login, after which callback deletes the item.
func (s *website) remove(w http.ResponseWriter, r *http.Request, _ *user) {
	if r.FormValue("tag") == "" {
		s.fail(w, http.StatusBadRequest, noTag)
		return
	}
	s.begin(w, r, &deletion{r.PathValue("owner"), r.PathValue("number"), r.FormValue("tag")})
}

// logout ends the session here, and sends the browser to the page that ends it at the authorization server.
func (s *website) logout(w http.ResponseWriter, r *http.Request) {
	s.sessions.end(w, r)
	var endpoints struct {
		EndSession string `json:"end_session_endpoint"`
	}
	if err := s.provider.Claims(&endpoints); err != nil || endpoints.EndSession == "" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	query := url.Values{"client_id": {s.client.ClientID}}
	http.Redirect(w, r, endpoints.EndSession+"?"+query.Encode(), http.StatusSeeOther)
}
