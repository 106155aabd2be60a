package web

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
)

// askedFor is how long a browser keeps the language that an app has asked for: as long as the links in mails work.
const askedFor = 30 * time.Minute

// languageKey is the key of the language in the context of a request.
type languageKey struct{}

// languageOf returns the language in which to answer a request: what an app has asked for by ui_locales in this request
// (OpenID Connect Core section 3.1.2.1) or the one that led here, or else what the browser asks for.
func (e *endpoints) languageOf(r *http.Request) string {
	if name, ok := r.Context().Value(languageKey{}).(string); ok {
		return name
	}
	return e.languages.Header(r.Header.Get("Accept-Language"))
}

// languageCookieName returns the name of the cookie with the language that an app has asked for.
func (e *endpoints) languageCookieName() string { return e.cookieName() + "_language" }

// negotiate finds the language of a request. It remembers ui_locales for the pages that follow. A new request of an app
// does not use what an earlier request has asked for.
func (e *endpoints) negotiate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, _ := url.ParseQuery(r.URL.RawQuery)                           // the page refuses a malformed one
		begins := r.Method == http.MethodGet && !query.Has("request_uri") && // a pushed request is read later
			(r.URL.Path == authorizePath || r.URL.Path == endSessionPath)
		next.ServeHTTP(w, e.inLanguage(w, r, query.Get("ui_locales"), begins))
	})
}

// inLanguage returns the request with the language for ui_locales, which the browser remembers. Without a known one, it
// has the remembered language, unless begins says that the request is the first of an app.
func (e *endpoints) inLanguage(w http.ResponseWriter, r *http.Request, locales string, begins bool) *http.Request {
	remembered := ""
	if cookie, err := r.Cookie(e.languageCookieName()); err == nil {
		remembered, _ = e.languages.Locales(cookie.Value)
	}
	name, ok := e.languages.Locales(locales)
	switch {
	case ok && name != remembered:
		http.SetCookie(w, e.cookie(e.languageCookieName(), name, askedFor))
	case !ok && begins && remembered != "":
		http.SetCookie(w, e.cookie(e.languageCookieName(), "", -time.Second))
	case !ok && !begins:
		name = remembered
	}
	if name == "" {
		name = e.languages.Header(r.Header.Get("Accept-Language"))
	}
	return r.WithContext(context.WithValue(r.Context(), languageKey{}, name))
}

// mustMatcher returns the matcher for the default language of the configuration, which the settings have checked.
func mustMatcher(defaultLanguage string) *catalog.Matcher {
	matcher, err := catalog.NewMatcher(defaultLanguage)
	if err != nil {
		panic(err)
	}
	return matcher
}
