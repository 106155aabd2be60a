package web

import (
	"embed"
	"html/template"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
)

//go:embed pages
var pageFiles embed.FS

// templates are the pages by name. Each defines the body of the common frame.
type templates map[string]*template.Template

// untranslated returns the pages before they have a language. They are parsed when the first server is made: commands
// need none.
var untranslated = sync.OnceValue(func() templates {
	byName := templates{}
	names, err := fs.Glob(pageFiles, "pages/*.html")
	if err != nil {
		panic(err)
	}
	for _, file := range names {
		name := strings.TrimSuffix(strings.TrimPrefix(file, "pages/"), ".html")
		if name == "frame" || name == "inbox" {
			continue
		}
		empty := template.New(name).Funcs(printer{}.functions())
		byName[name] = template.Must(empty.ParseFS(pageFiles, "pages/frame.html", file))
	}
	return byName
})

// translate returns the pages in each language of the catalog, which are made when they are first needed.
func translate(texts *catalog.Catalog) map[string]func() templates {
	pages := untranslated()
	byLanguage := map[string]func() templates{}
	for _, language := range catalog.Languages {
		byLanguage[language] = sync.OnceValue(func() templates {
			byName := templates{}
			for name, page := range pages {
				byName[name] = template.Must(page.Clone()).Funcs(printer{texts, language}.functions())
			}
			return byName
		})
	}
	return byLanguage
}

// printer prints messages in a language. Its methods are the functions of the templates. They return HTML and escape
// their arguments, except those that are HTML already.
type printer struct {
	texts    *catalog.Catalog
	language string
}

// functions returns the functions by their names in templates.
func (p printer) functions() template.FuncMap {
	return template.FuncMap{
		"t": p.t, "say": p.say, "strong": p.strong, "app": p.app, "list": p.list, "date": p.date, "when": p.when,
	}
}

// t returns the text with an English key, which must be a constant: see catalog.Say.
func (p printer) t(key string, args ...any) template.HTML { return p.say(catalog.Say(key, args...)) }

// say returns a message.
func (p printer) say(m *catalog.Message) template.HTML {
	var html strings.Builder
	for _, part := range p.texts.Parts(p.language, m) {
		if part.Value == nil {
			html.WriteString(template.HTMLEscapeString(part.Text))
			continue
		}
		html.WriteString(string(p.html(part.Value)))
	}
	return template.HTML(html.String()) //nolint:gosec // all of it is escaped
}

// html returns a value as HTML.
func (p printer) html(value any) template.HTML {
	switch value := value.(type) {
	case template.HTML:
		return value
	case *catalog.Message:
		return p.say(value)
	}
	return template.HTML(template.HTMLEscaper(value)) //nolint:gosec // it is escaped
}

// strong returns a text or a message with emphasis; nothing for an empty one.
func (p printer) strong(value any) template.HTML {
	html := p.html(value)
	if html == "" {
		return ""
	}
	return "<strong>" + html + "</strong>"
}

// app returns the name of an app, and the host of its metadata document if there is one.
func (p printer) app(name string, host any) template.HTML {
	html := p.html(host)
	if html == "" {
		return p.strong(name)
	}
	return p.t("{app} at {host}", p.strong(name), html)
}

// list returns texts with commas between them.
func (p printer) list(texts []string) string { return strings.Join(texts, ", ") }

// date returns a time without markup.
func (p printer) date(m moment) template.HTML { return p.say(dateText(m)) }

// when returns a time for people and for programs.
func (p printer) when(m moment) template.HTML {
	return template.HTML(`<time datetime="`+m.UTC().Format(time.RFC3339)+`">`) + //nolint:gosec // it has no text
		p.date(m) + "</time>"
}
