package mail

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
)

//go:embed templates
var embedded embed.FS

// kinds are all kinds, each with a template.
var kinds = []Kind{
	ResetPassword, PasswordChanged, SecondFactorAdded, SecondFactorRemoved, RecoveryCodeUsed, RecoveryCodesReplaced,
	PasskeyCopied, PasswordOnly, WrongCodes, NewDevice, VerifyEmail, ChangeEmail, EmailChanging, EmailChanged,
	AccountDeleted, SignUp, Invitation, HaveAccount,
}

// maxTemplate is the maximum size of a template, in bytes.
const maxTemplate = 64 << 10

// Templates are the texts of mails. They are safe for concurrent use.
type Templates struct {
	texts map[string]map[Kind]*template.Template // by language
}

// values is the data of a template.
type values struct {
	Service  string // host of the issuer
	Name     string // display name of the user; empty if there is no user
	Username string // empty if there is no user
	Link     string // empty if the mail has none
	Minutes  int    // how long the link works
	Days     int    // the same, for an invitation
}

// sample is data to try a template with.
var sample = values{
	Service:  "login.example.com",
	Name:     "Ada",
	Username: "ada",
	Link:     "https://login.example.com/reset?link=sample",
	Minutes:  30,
	Days:     7,
}

// LoadTemplates returns the templates of a folder, and the built-in ones for those that it does not have; an
// empty name means the built-in ones only. The name of a file is that of a Kind with .txt, in a folder with the tag of
// its language. Without that folder, it is for all languages that have no file of their own. Its first line is
// "Subject: " with the subject, and an empty line follows. The error names a file that cannot be used.
func LoadTemplates(folder string) (*Templates, error) {
	t := &Templates{texts: map[string]map[Kind]*template.Template{}}
	for _, language := range catalog.Languages {
		t.texts[language] = map[Kind]*template.Template{}
		for _, kind := range kinds {
			path, text, err := choose(folder, language, string(kind)+".txt")
			if err != nil {
				return nil, err
			}
			if t.texts[language][kind], err = parse(filepath.Base(path), string(text)); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	return t, nil
}

// choose returns the template of a file name in a language, and where it is from: the folder for the language, the
// folder for all, or the built-in ones. Those in English are in no folder of their own.
func choose(folder, language, name string) (path string, text []byte, err error) {
	inFolder := filepath.Join(language, name)
	builtIn := "templates/" + language + "/" + name
	if language == catalog.English {
		builtIn = "templates/" + name
	}
	if text, err = embedded.ReadFile(builtIn); err != nil || folder == "" {
		return builtIn, text, err
	}
	if _, err := os.Stat(folder); err != nil { // a mistyped folder must not go unnoticed
		return "", nil, err
	}
	for _, path := range []string{filepath.Join(folder, inFolder), filepath.Join(folder, name)} {
		text, err := read(path)
		if !errors.Is(err, fs.ErrNotExist) {
			return path, text, err
		}
	}
	return builtIn, text, nil
}

// read returns the content of a file.
func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxTemplate {
		return nil, fmt.Errorf("%s must be a file of at most %d bytes", path, maxTemplate)
	}
	return os.ReadFile(path)
}

// parse parses a template and tries it.
func parse(name, text string) (*template.Template, error) {
	t, err := template.New(name).Option("missingkey=error").Parse(strings.ReplaceAll(text, "\r\n", "\n"))
	if err != nil {
		return nil, err
	}
	_, err = render(t, "ada@example.com", sample)
	return t, err
}

// render writes a mail.
func render(t *template.Template, to string, v values) (Message, error) {
	var text strings.Builder
	if err := t.Execute(&text, v); err != nil {
		return Message{}, err
	}
	head, body, _ := strings.Cut(text.String(), "\n")
	subject, ok := strings.CutPrefix(head, "Subject: ")
	if subject = strings.TrimSpace(subject); !ok || subject == "" {
		return Message{}, errors.New(`its first line must be "Subject: " with the subject`)
	}
	if body = strings.TrimSpace(body); body == "" {
		return Message{}, errors.New("it has no text")
	}
	return Message{To: to, Subject: subject, Text: body + "\n"}, nil
}
