package console

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/httpserver"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/adminapi"
)

// fail writes the page of an error. One that is a fault of the server is logged, and its text is not shown.
func (c *Console) fail(v *visit, err error) {
	var refused *refusal
	if errors.As(err, &refused) {
		c.refuse(v, refused.status, messagePage(refused.title, refused.text))
		return
	}
	p := adminapi.ProblemOf(err)
	switch {
	case p.Status == http.StatusNotFound:
		c.refuse(v, p.Status, messagePage("Not found",
			"It does not exist, or no longer exists: somebody may have deleted it."))
	case p.Status < http.StatusInternalServerError:
		c.refuse(v, p.Status, messagePage("This did not work", sentence(p.Detail)))
	default:
		c.cfg.Log.ErrorContext(v.ctx(), "request failed", "endpoint", "console", "error", err)
		c.refuse(v, p.Status, messagePage("Something went wrong",
			"This is a problem on the server. Its log says more, under the request "+httpserver.RequestID(v.ctx())+"."))
	}
}

// refuse writes a page with a status.
func (c *Console) refuse(v *visit, status int, p page) {
	p.status = status
	c.render(v, p)
}

// refusal is an error of the console itself.
type refusal struct {
	status      int
	title, text string
}

// Error returns the text.
func (r *refusal) Error() string { return r.text }

// formProblem returns the status of an error, and what the form says about it.
func formProblem(err error) (status int, text string) {
	var own *refusal
	if errors.As(err, &own) {
		return own.status, own.text
	}
	p := adminapi.ProblemOf(err)
	switch p.Status {
	case http.StatusPreconditionFailed:
		return p.Status, "It was changed after you opened this page. The page now shows its current state; your " +
			"changes are still in the form. Check them before you save."
	case http.StatusNotFound:
		return p.Status, "It no longer exists. " + sentence(p.Detail)
	}
	return p.Status, sentence(p.Detail)
}

// sentence returns the text of an error as a sentence.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	text = strings.ToUpper(text[:1]) + text[1:]
	if strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}

// messagePage returns a page that only says something.
func messagePage(title string, text ...string) page {
	return page{Title: title, Sections: []section{{Text: text}}}
}

func notAllowedPage() page {
	p := messagePage("This page cannot be opened this way", "Follow a link in the console.")
	p.status = http.StatusMethodNotAllowed
	return p
}

// notAdministratorPage is for a user who is logged in and is no administrator.
func notAdministratorPage(u account.User) page {
	p := messagePage("You are not an administrator",
		fmt.Sprintf("You are logged in as %s, who is not in the group %s.", u.Username, account.AdminGroup))
	p.outside = true
	p.Sections[0].Links = []link{to("/logout", "Log out"), to("/account", "Your account")}
	return p
}

// noFactorPage is for an administrator without a second factor, who can get one only by a link that a command prints.
func noFactorPage(u account.User) page {
	p := messagePage("You need a second factor",
		"Administrators log in with a second factor, and you have none yet. A password alone is not enough to add one: "+
			"somebody may have guessed it. You need a link that a command prints. Run it on the machine of the server:")
	p.outside = true
	s := &p.Sections[0]
	s.Copies = []copyText{{Label: "Command", Text: enrolCommand(u.Username)}}
	s.After = "It prints a link that works once, for 30 minutes. Open it in this browser, and then come back to this page."
	p.Sections = append(p.Sections, section{Links: []link{to(basePath, "Try again"), to("/logout", "Log out")}})
	return p
}

// enrolCommand returns the command that prints the link by which an administrator adds the first second factor.
func enrolCommand(username string) string {
	return "authserver user set " + shellQuote(username) + " --enrol-link"
}

// shellQuote returns a text as one word of a command.
func shellQuote(text string) string {
	plain := func(r rune) bool {
		return r < 0x80 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
			strings.ContainsRune("._-@:/", r))
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 && text[0] != '-' {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
