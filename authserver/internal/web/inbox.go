package web

import (
	"bytes"
	"context"
	"html/template"
	"net/http"
	"regexp"

	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
)

// InboxPath is the path of the inbox at the admin listener.
const InboxPath = "/mail"

// InboxPage returns a page that shows the mails that inbox returns.
func InboxPage(inbox func(context.Context) ([]mail.Kept, error)) http.Handler {
	page := template.Must(template.New("inbox.html").Funcs(template.FuncMap{"parts": parts}).
		ParseFS(pageFiles, "pages/inbox.html"))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mails, err := inbox(r.Context())
		if err != nil {
			http.Error(w, "the mails cannot be read now", http.StatusServiceUnavailable)
			return
		}
		var body bytes.Buffer
		if err := page.Execute(&body, mails); err != nil {
			panic(err) // the template does not fit
		}
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "+
			"form-action 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer") // links have a secret
		h.Set("Cache-Control", "no-store")
		_, _ = w.Write(body.Bytes())
	})
}

// part is a part of a mail's text. Link is set if it is a link.
type part struct{ Text, Link string }

// linkPattern matches links in mails.
var linkPattern = regexp.MustCompile(`https?://\S+`)

// parts splits a text at its links.
func parts(text string) (list []part) {
	end := 0
	for _, at := range linkPattern.FindAllStringIndex(text, -1) {
		link := text[at[0]:at[1]]
		list = append(list, part{Text: text[end:at[0]]}, part{Text: link, Link: link})
		end = at[1]
	}
	return append(list, part{Text: text[end:]})
}
