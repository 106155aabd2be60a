package web

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The functions below change the query of an authorization request, which pages carry from one to
// the next. What they leave in stays byte for byte: encoding it again could make it longer than
// maxQuery, after the user has logged in.

// prompts are the values of prompt that have a meaning here (OpenID Connect Core section 3.1.2.1).
var prompts = []string{"none", "login", "consent", "select_account"}

// promptOf returns the values of prompt in a query, without those that have no meaning here.
func promptOf(query string) []string {
	values, _ := url.ParseQuery(query) // readAuthorization has refused a malformed one
	return slices.DeleteFunc(strings.Fields(values.Get("prompt")), func(s string) bool {
		return !slices.Contains(prompts, s)
	})
}

// withPrompt returns the query with these values of prompt in place of its own.
func withPrompt(query string, prompt []string) string {
	query = withoutParameter(query, "prompt")
	if len(prompt) == 0 {
		return query
	}
	return query + "&prompt=" + strings.Join(prompt, "+")
}

// withoutPrompt returns the query without one of the values of prompt, once the user has done
// what it asks for.
func withoutPrompt(query, prompt string) string {
	return withPrompt(query, slices.DeleteFunc(promptOf(query), func(s string) bool { return s == prompt }))
}

// afterLogin returns the query without prompt=login and prompt=select_account, which the user has just satisfied. A
// max_age below minMaxAge becomes minMaxAge, if the query does not become too long: 0 would ask for a login again and
// again.
func afterLogin(query string) string {
	query = withoutPrompt(withoutPrompt(query, "login"), "select_account")
	values, _ := url.ParseQuery(query)
	seconds, err := strconv.ParseUint(values.Get("max_age"), 10, 31)
	if len(values["max_age"]) != 1 || err != nil || time.Duration(seconds)*time.Second >= minMaxAge {
		return query
	}
	query = withoutParameter(query, "max_age")
	if raised := fmt.Sprintf("%s&max_age=%d", query, minMaxAge/time.Second); len(raised) <= maxQuery {
		return raised
	}
	return query
}

// logInAgain returns the query with prompt=login, for a user who wants to log in as someone else.
func logInAgain(query string) string {
	return withPrompt(query, append([]string{"login"}, promptOf(withoutPrompt(query, "login"))...))
}

// withoutParameter returns the query without the parameters of this name.
func withoutParameter(query, name string) string {
	kept := slices.DeleteFunc(strings.Split(query, "&"), func(pair string) bool {
		encoded, _, _ := strings.Cut(pair, "=")
		decoded, err := url.QueryUnescape(encoded)
		return err == nil && decoded == name
	})
	return strings.Join(kept, "&")
}
