package theme_test

import (
	"bytes"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
	"github.com/hallpass-auth/hallpass/authserver/internal/theme"
)

// named is the content of theme.json with a name only.
const named = `{"name": "Acme Accounts"}`

// load returns the theme of a folder with these files.
func load(t *testing.T, files map[string]string) (*theme.Theme, error) {
	t.Helper()
	folder := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return theme.Load(folder)
}

// picture returns a PNG file of this width.
func picture(t *testing.T, width int) string {
	t.Helper()
	var file bytes.Buffer
	if err := png.Encode(&file, image.NewGray(image.Rect(0, 0, width, 1))); err != nil {
		t.Fatal(err)
	}
	return file.String()
}

// svg returns an SVG file with this inside.
func svg(inside string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><svg xmlns="http://www.w3.org/2000/svg" ` +
		`xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 10 10">` + inside + `</svg>`
}

func TestLoad(t *testing.T) {
	t.Parallel()
	if got, err := theme.Load(""); err != nil || got.Name != "" || got.Logo.MediaType != "" || got.StyleSheet() != "" {
		t.Errorf("no folder: got %+v and error %v", got, err)
	}
	got, err := load(t, map[string]string{
		"theme.json": `{"name": "Acme Accounts", "colors": {"light": {"accent": "#7a1f5c"}, "dark": {"accent": "#F0A0D0"}}}`,
		"logo.png":   picture(t, 64),
		"de.json":    `{"Log in": "Einloggen"}`,
		".DS_Store":  "not read",
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "Acme Accounts" || got.Logo.MediaType != "image/png" || len(got.Logo.Content) == 0 {
		t.Errorf("got %q with a logo of type %q", got.Name, got.Logo.MediaType)
	}
	if text := got.Texts.Text("de", catalog.Say("Log in")); text != "Einloggen" {
		t.Errorf("got the text %q", text)
	}
	if want := "\n:root {\n  --main: light-dark(#7a1f5c, #F0A0D0);\n}\n"; got.StyleSheet() != want {
		t.Errorf("got the style sheet %q, want %q", got.StyleSheet(), want)
	}
}

// What cannot be used is refused, with the name of the file and what is wrong.
func TestLoadErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ file, text, says string }{
		{"theme.json", ``, "EOF"},
		{"theme.json", `{"name": "a"} x`, "follows"},
		{"theme.json", `{"colour": {}}`, "colour"},
		{"theme.json", `{"name": 1}`, "name"},
		{"theme.json", `{"name": " a"}`, "space"},
		{"theme.json", `{"name": "a\u202eb"}`, "printed"},
		{"theme.json", `{"name": "` + strings.Repeat("x", 65) + `"}`, "64"},
		{"theme.json", `{"name": "a"}` + strings.Repeat(" ", 20_000), "16384"},
		{"theme.json", `{"colors": {"sepia": {}}}`, "sepia"},
		{"theme.json", `{"colors": {"light": {"shadow": "#000000"}}}`, "shadow"},
		{"theme.json", `{"colors": {"light": {"error": "#000000"}}}`, "error"},
		{"theme.json", `{"colors": {"light": {"accent": "red"}}}`, "colors.light.accent"},
		{"theme.json", `{"colors": {"light": {"accent": "#fff"}}}`, "colors.light.accent"},
		{"theme.json", `{"colors": {"light": {"accent": "#000000;} body{background:url(//evil.example)"}}}`, "colors.light.accent"},
		{"theme.json", `{"colors": {"light": {"text": "#8a8a8a"}}}`, "text #8a8a8a on card #ffffff has a contrast of 3.45, and needs 4.5"},
		{"theme.json", `{"colors": {"light": {"accent": "#ffcc00"}}}`, "on_accent #ffffff on accent #ffcc00"},
		{"theme.json", `{"colors": {"dark": {"card": "#808080"}}}`, "border #78859a on card #808080"},
		{"de.json", `{"Log in": "{app}"}`, `"Log in"`},
		{"de.json", `{"Nothing": "x"}`, `"Nothing"`},
		{"fr.json", `{}`, "no such file"},
		{"logo.gif", "GIF89a", "no such file"},
		{"readme.txt", "", "no such file"},
		{"logo.png", "GIF89a", "not a PNG"},
		{"logo.png", svg(""), "not a PNG"},
		{"logo.png", picture(t, 5000), "5000"},
		{"logo.webp", "RIFF....WEBQVP8 .", "not a WebP"},
		{"logo.webp", "RIFF", "not a WebP"},
		{"logo.svg", strings.Repeat(" ", 5<<20), "262144"},
		{"logo.svg", "", "no element"},
		{"logo.svg", "GIF89a", "no element"},
		{"logo.svg", "<html xmlns=\"http://www.w3.org/1999/xhtml\"/>", "root is <html>"},
		{"logo.svg", "<svg/>", "<svg>"},
		{"logo.svg", `<!DOCTYPE svg [<!ENTITY a "b">]>` + svg(""), "DOCTYPE"},
		{"logo.svg", `<?xml-stylesheet href="https://evil.example/a.css"?>` + svg(""), "xml-stylesheet"},
		{"logo.svg", svg(`<script>alert(1)</script>`), "<script>"},
		{"logo.svg", svg(`<SCRIPT>alert(1)</SCRIPT>`), "<SCRIPT>"},
		{"logo.svg", svg(`<x:script xmlns:x="http://www.w3.org/2000/svg">alert(1)</x:script>`), "<script>"},
		{"logo.svg", svg(`<foreignObject/>`), "<foreignObject>"},
		{"logo.svg", svg(`<image href="https://evil.example/a.png"/>`), "<image>"},
		{"logo.svg", svg(`<a href="#"/>`), "<a>"},
		{"logo.svg", svg(`<animate attributeName="href" values="javascript:alert(1)"/>`), "<animate>"},
		{"logo.svg", svg(`<g><set attributeName="onclick" to="alert(1)"/></g>`), "<set>"},
		{"logo.svg", svg(`<path xmlns="http://www.w3.org/1999/xhtml"/>`), "<path>"},
		{"logo.svg", svg(`<g onload="alert(1)"/>`), "onload"},
		{"logo.svg", svg(`<g ONCLICK="alert(1)"/>`), "ONCLICK"},
		{"logo.svg", svg(`<use href="https://evil.example/a.svg#a"/>`), "href"},
		{"logo.svg", svg(`<use xlink:href="data:image/svg+xml,a"/>`), "href"},
		{"logo.svg", svg(`<use href="javascript:alert(1)"/>`), "href"},
		{"logo.svg", svg(`<g xml:base="https://evil.example/"/>`), "base"},
		{"logo.svg", svg(`<g fill="url(https://evil.example/a.svg#a)"/>`), "outside"},
		{"logo.svg", svg(`<g style="fill: URL( '//evil.example/a' )"/>`), "outside"},
		{"logo.svg", svg(`<style>@import "https://evil.example/a.css";</style>`), "@import"},
		{"logo.svg", svg(`<style><![CDATA[g { fill: u\72l(//evil.example) }]]></style>`), "backslash"},
		{"logo.svg", svg(`<style>@imp<!-- -->ort "https://evil.example/a.css";</style>`), "@import"},
		{"logo.svg", svg(`<style><g/>@import "https://evil.example/a.css";</style>`), "<style>"},
		{"logo.svg", svg(`<style>@font-face { src: url(a) }</style>`), "@font-face"},
		{"logo.svg", svg(`<g style="background: image-set('a' 1x)"/>`), "image-set"},
		{"logo.svg", svg(`&unknown;`), "well-formed"},
		{"logo.svg", svg(`<g>`), "well-formed"},
		{"logo.svg", svg(strings.Repeat("<g>", 64) + strings.Repeat("</g>", 64)), "64"},
	} {
		files := map[string]string{"theme.json": named}
		files[tt.file] = tt.text
		_, err := load(t, files)
		if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), tt.file) {
			t.Errorf("%s %.80q: got error %v, want one with the file and %q", tt.file, tt.text, err, tt.says)
		}
	}
}

// What logos have is accepted.
func TestSVG(t *testing.T) {
	t.Parallel()
	got, err := load(t, map[string]string{"theme.json": named, "logo.svg": svg(`<title>Acme</title>
		<defs><linearGradient id="a"><stop offset="0" stop-color="#fff"/></linearGradient></defs>
		<style>.a { fill: url(#a) } @media (prefers-color-scheme: dark) { .a { fill: #fff } }</style>
		<!-- drawn by hand --><g id="b" transform="rotate(9)"><path class="a" d="M0 0h9v9z"/></g>
		<use xlink:href="#b"/><rect width="3" height="3" style="fill:url('#a');stroke:none"/>`)})
	if err != nil || got.Logo.MediaType != "image/svg+xml" {
		t.Errorf("got a logo of type %q and error %v", got.Logo.MediaType, err)
	}
}

// A logo needs a name for people who do not see it, and there is one logo.
func TestLogoAndName(t *testing.T) {
	t.Parallel()
	if _, err := load(t, map[string]string{"logo.svg": svg("")}); err == nil || !strings.Contains(err.Error(), "name") {
		t.Errorf("without a name: %v", err)
	}
	_, err := load(t, map[string]string{"theme.json": named, "logo.svg": svg(""), "logo.png": picture(t, 1)})
	if err == nil || !strings.Contains(err.Error(), "another logo") {
		t.Errorf("two logos: %v", err)
	}
	if _, err := theme.Load(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a folder that does not exist is accepted")
	}
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "logo.svg"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := theme.Load(folder); err == nil || !strings.Contains(err.Error(), "must be a file") {
		t.Errorf("a folder for a logo: %v", err)
	}
}

// An accepted SVG file has nothing that runs or loads.
func FuzzSVG(f *testing.F) {
	for _, inside := range []string{
		`<path d="M0 0"/>`, `<script/>`, `<g onload="a"/>`, `<use href="#a"/>`, `<style>a{fill:url(#a)}</style>`,
		`<g a="&lt;"/>`,
	} {
		f.Add(inside)
	}
	f.Fuzz(func(t *testing.T, inside string) {
		if _, err := load(t, map[string]string{"theme.json": named, "logo.svg": svg(inside)}); err != nil {
			return
		}
		lower := strings.ToLower(inside)
		for _, bad := range []string{"<script", "<foreignobject", "<image", "<iframe", "<animate", "<set", "@import"} {
			if strings.Contains(lower, bad) && !strings.Contains(lower, "<!") {
				t.Errorf("accepted %q", inside)
			}
		}
	})
}
