// Package console is the administrators' console: the pages below /admin, in English.
//
// It is a package of its own, because it has its own rules for who may open a page, and needs little of the other
// pages: [Site] is all of it. What a page shows and changes goes through the operations of the admin API, which it
// calls in process, with the administrator as the actor in the context. So a page cannot do what the API cannot.
//
// A page is data: a heading and sections, each with paragraphs, facts, a table or a form. pages/*.html make HTML of it,
// which is therefore the same everywhere: labels, captions and landmarks cannot be forgotten. routes.go has one line
// for each page. A page with a form has two functions: show makes the page, and save does what the form says. If save
// returns an error that an administrator can do something about, the page is shown again, with the error and what was
// typed.
package console
