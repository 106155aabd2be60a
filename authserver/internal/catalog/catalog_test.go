package catalog_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
)

// file returns the built-in texts of a language: a text, or an object of plural forms, by key.
func file(t *testing.T, language string) map[string]any {
	t.Helper()
	text, err := os.ReadFile("texts/" + language + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var texts map[string]any
	if err := json.Unmarshal(text, &texts); err != nil {
		t.Fatal(err)
	}
	return texts
}

// counts matches a text that depends on the number before a word, as in "{n} minutes".
var counts = regexp.MustCompile(`\{n\} [a-z]`)

// wantForms are the plural forms of whole numbers below a million in each language.
var wantForms = map[string][]string{
	"en": {"one", "other"}, "ko": {"other"}, "de": {"one", "other"}, "es": {"one", "other"},
}

// Each text that somebody says has a translation in each language, and each translation is of a text that somebody
// says. The server has checked the placeholders when it read the files.
func TestEveryTextIsTranslated(t *testing.T) {
	t.Parallel()
	said := map[string]bool{}
	for _, u := range uses(t) {
		said[u.key] = true
		if n := strings.Count(u.key, "{"); n != u.args {
			t.Errorf("%s: %q has %d placeholders and %d arguments", u.place, u.key, n, u.args)
		}
	}
	if len(said) < 200 {
		t.Fatalf("only %d texts were found", len(said))
	}
	for _, language := range catalog.Languages {
		texts := file(t, language)
		for _, key := range slices.Sorted(maps.Keys(texts)) {
			if !said[key] {
				t.Errorf("%s.json: nobody says %q", language, key)
			}
		}
		for _, key := range slices.Sorted(maps.Keys(said)) {
			forms, isPlural := texts[key].(map[string]any)
			switch {
			case language == catalog.English && texts[key] == nil && !counts.MatchString(key):
				// the key is the text
			case texts[key] == nil:
				t.Errorf("%s.json: %q is missing", language, key)
			case isPlural && !slices.Equal(slices.Sorted(maps.Keys(forms)), wantForms[language]):
				t.Errorf("%s.json: %q must have the plural forms %v", language, key, wantForms[language])
			case !isPlural && counts.MatchString(key) && len(wantForms[language]) > 1:
				t.Errorf("%s.json: %q depends on a number: it needs the plural forms %v", language, key, wantForms[language])
			}
		}
	}
	if _, err := catalog.BuiltIn().With("de", []byte("{}")); err != nil {
		t.Error(err)
	}
}

// A message has the values where the language has the placeholders, and the form for its number.
func TestText(t *testing.T) {
	t.Parallel()
	wait := func(n int) *catalog.Message {
		return catalog.Say("Too many failed attempts. Try again in {wait}.", catalog.Say("{n} seconds", n))
	}
	for _, tt := range []struct {
		language string
		message  *catalog.Message
		want     string
	}{
		{"en", nil, ""},
		{"en", catalog.Say("Log in"), "Log in"},
		{"de", catalog.Say("Log in"), "Anmelden"},
		{"ko", catalog.Say("Log in"), "로그인"},
		{"es", catalog.Say("Log in"), "Iniciar sesión"},
		{"fr", catalog.Say("Log in"), "Log in"},
		{"de", catalog.Verbatim("Log in {app}"), "Log in {app}"},
		{"en", wait(1), "Too many failed attempts. Try again in 1 second."},
		{"en", wait(90), "Too many failed attempts. Try again in 90 seconds."},
		{"de", wait(1), "Zu viele Fehlversuche. Versuchen Sie es in 1 Sekunde noch einmal."},
		{"ko", wait(1), "실패한 시도가 너무 많습니다. 1초 후에 다시 시도하세요."},
		{"es", wait(2), "Demasiados intentos fallidos. Vuelva a intentarlo en 2 segundos."},
		{"ko", catalog.Say("{day} {month} {year}, {time} UTC", 3, catalog.Say("May"), 2026, "09:30"), "2026년 5월 3일 09:30 (UTC)"},
		{"de", catalog.Say("{app} wants to log you out.", "{email}"), "{email} möchte Sie abmelden."},
	} {
		if got := catalog.BuiltIn().Text(tt.language, tt.message); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.language, got, tt.want)
		}
	}
}

// A team's own texts take the place of the built-in ones in one language. What is wrong with a file is said by key.
func TestWith(t *testing.T) {
	t.Parallel()
	const key = "{app} wants to log you out."
	changed, err := catalog.BuiltIn().With("de", []byte(`{"`+key+`": "Abmelden von {app}?"}`))
	if err != nil {
		t.Fatal(err)
	}
	m := catalog.Say(key, "Album")
	if got := changed.Text("de", m); got != "Abmelden von Album?" {
		t.Errorf("got %q", got)
	}
	if got := catalog.BuiltIn().Text("de", m); got != "Album möchte Sie abmelden." {
		t.Errorf("the built-in text is %q", got)
	}
	if changed, err = changed.With("en", []byte(`{"Log in": "Sign in"}`)); err != nil {
		t.Fatal(err)
	}
	if got := changed.Text("en", catalog.Say("Log in")); got != "Sign in" {
		t.Errorf("got %q", got)
	}
	for _, tt := range []struct{ language, text, says string }{
		{"fr", `{}`, `"fr"`},
		{"de", ``, "JSON object"},
		{"de", `[]`, "JSON object"},
		{"de", `{`, "JSON"},
		{"de", `{} {}`, "follows"},
		{"de", `{"Log in": "a", "Log in": "b"}`, "twice"},
		{"de", `{"Log inn": "Anmelden"}`, `"Log inn"`},
		{"de", `{"Log in": ""}`, "empty"},
		{"de", `{"Log in": 1}`, "text"},
		{"de", `{"Log in": {"one": "a"}}`, `"other"`},
		{"de", `{"Log in": {"other": "a", "single": "b"}}`, `"single"`},
		{"de", `{"Log in": {"other": ["a"]}}`, "text"},
		{"de", `{"Log in": "a\nb"}`, "line break"},
		{"de", `{"Log in": "{app}"}`, "{app}"},
		{"de", `{"Log in": "a {"}`, "brace"},
		{"de", `{"` + key + `": "Abmelden?"}`, "{app}"},
		{"de", `{"` + key + `": "{app} {app}"}`, "{app}"},
		{"de", `{"` + key + `": "{App}"}`, "{app}"},
		{"de", `{"Log in": "` + strings.Repeat("x", 2001) + `"}`, "2000"},
		{"de", `{"Log in": "` + strings.Repeat("x", 300_000) + `"}`, "262144"},
		{"de", "{\"Log in\": \"\xff\"}", "UTF-8"},
	} {
		_, err := catalog.BuiltIn().With(tt.language, []byte(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s %.60q: got error %v, want one with %q", tt.language, tt.text, err, tt.says)
		}
	}
}

// The language is the first that an app or a browser asks for and that has texts.
func TestMatcher(t *testing.T) {
	t.Parallel()
	m, err := catalog.NewMatcher("de")
	if err != nil {
		t.Fatal(err)
	}
	for header, want := range map[string]string{
		"": "de", "ko": "ko", "ko-KR,ko;q=0.9,en;q=0.8": "ko", "en-GB": "en", "es-MX, en;q=0.5": "es", "fr": "de",
		"fr, es;q=0.3, en;q=0.7": "en", "*": "de", "de-CH": "de", ";;;": "de", "ko;q=0, es": "es",
		strings.Repeat("ko,", 200): "de", "ko\x00": "de",
	} {
		if got := m.Header(header); got != want {
			t.Errorf("Accept-Language %.40q: got %s, want %s", header, got, want)
		}
	}
	for locales, want := range map[string]string{
		"ko": "ko", "fr-CA es en": "es", "": "", "se": "", "xx-invalid-!! ko": "ko", "EN": "en", "ko_KR": "ko",
		strings.Repeat("se ", 10) + "ko": "",
	} {
		if got, ok := m.Locales(locales); got != want || ok != (want != "") {
			t.Errorf("ui_locales %.40q: got %s, %t, want %s", locales, got, ok, want)
		}
	}
	if _, err := catalog.NewMatcher("fr"); err == nil {
		t.Error("a default language without texts is accepted")
	}
}

func FuzzWith(f *testing.F) {
	f.Add(`{"Log in": "Anmelden"}`)
	f.Add(`{"{n} seconds": {"one": "{n} s", "other": "{n} s"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		changed, err := catalog.BuiltIn().With("de", []byte(text))
		if err != nil {
			return
		}
		if got := changed.Text("de", catalog.Say("{n} seconds", 4)); !strings.Contains(got, fmt.Sprint(4)) {
			t.Errorf("%q lost its number: %q", text, got)
		}
	})
}
