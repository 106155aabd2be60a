package web

import (
	"bytes"
	"net/http"
	"time"
)

// logoPath is the path of the logo.
const logoPath = "/logo"

// forAnHour lets browsers keep the style sheet and the logo.
const forAnHour = "public, max-age=3600"

// style serves the style sheet of all pages, with the colors of the theme.
func (e *endpoints) style(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", forAnHour)
	h.Set("Content-Type", "text/css; charset=utf-8")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(e.styleSheet))
}

// logo serves the logo. theme.Load has refused one with scripts; if a browser opened one as a page, the
// Content-Security-Policy would not let it run or fetch anything.
func (e *endpoints) logo(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", forAnHour)
	h.Set("Content-Type", e.theme.Logo.MediaType)
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(e.theme.Logo.Content))
}

// mustStyleSheet returns the style sheet with these colors.
func mustStyleSheet(colors string) []byte {
	sheet, err := pageFiles.ReadFile("pages/style.css")
	if err != nil {
		panic(err)
	}
	return append(sheet, colors...)
}
