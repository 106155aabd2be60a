package web

import (
	"cmp"
	"errors"
	"strings"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
)

// say returns a message: see catalog.Say. The English text must be a constant.
func say(english string, args ...any) *catalog.Message { return catalog.Say(english, args...) }

// codeSeconds is how often the code of an app changes.
const codeSeconds = 30

// nameTexts are what pages call the names that people choose.
var nameTexts = map[string]*catalog.Message{"name": say("name"), "username": say("username")}

// refusalText returns why a password or a name cannot be used, for the user.
func refusalText(err error) *catalog.Message {
	var refusal *account.Refusal
	var name *record.NameError
	switch {
	case errors.As(err, &refusal):
		return refusal.Why
	case !errors.As(err, &name) || nameTexts[name.What] == nil:
		return say("This cannot be used. Choose something else.")
	}
	what := nameTexts[name.What]
	switch name.Fault {
	case record.Empty:
		return say("The {what} is empty.", what)
	case record.TooLong:
		return say("The {what} is longer than {n} bytes.", what, name.MaxBytes)
	case record.NotUTF8:
		return say("The {what} is not valid UTF-8.", what)
	case record.OuterSpace:
		return say("The {what} begins or ends with a space.", what)
	case record.Unprintable:
	}
	return say("The {what} has a character that cannot be printed.", what)
}

// scopeTexts are the descriptions of scopes that a new database and the demo have.
var scopeTexts = map[string]*catalog.Message{
	"See your name and your username": say("See your name and your username"),
	"See your items":                  say("See your items"),
	"See and change your items":       say("See and change your items"),
}

// scopeText returns the description of a scope in the database, which is that of an administrator or a built-in one.
func scopeText(text string) *catalog.Message {
	return cmp.Or(scopeTexts[text], catalog.Verbatim(text))
}

// agentText returns the name of a browser or a program, such as "Firefox on Linux"; nil if it is not known.
func agentText(agent string) *catalog.Message {
	if agent == "" {
		return nil
	}
	if browser, system, ok := strings.Cut(agent, " on "); ok {
		return say("{browser} on {system}", browser, system)
	}
	return catalog.Verbatim(agent)
}

// factorName returns the name of a second factor. Its user has chosen it, unless it is the default one.
func factorName(f secondfactor.Factor) *catalog.Message {
	if f.Name == secondfactor.DefaultName {
		return kindNames[f.Kind]
	}
	return catalog.Verbatim(f.Name)
}

// months are the names of the months, as dates have them.
var months = []*catalog.Message{
	say("January"), say("February"), say("March"), say("April"), say("May"), say("June"), say("July"), say("August"),
	say("September"), say("October"), say("November"), say("December"),
}

// dateText returns a time for people.
func dateText(m moment) *catalog.Message {
	t := m.UTC()
	return say("{day} {month} {year}, {time} UTC", t.Day(), months[t.Month()-1], t.Year(), t.Format("15:04"))
}
