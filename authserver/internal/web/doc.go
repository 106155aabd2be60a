// Package web is the authorization server's HTTP: its endpoints and pages, one file each, and the one list of routes,
// routes.go. The admin API and the console, which New mounts, have lists of their own.
//
// A request to the token endpoint goes through these steps in this order:
//
//	form.go          method, query, content type, size, repeated and malformed parameters
//	client.go        client authentication
//	token.go         is the grant type known, and may this client use it
//	package issuing  the grant
//
// What goes wrong on the way is an error value. errors.go alone maps errors to HTTP, both to responses for programs and
// to pages for people, which respond.go writes. Only the refusals of access tokens at /userinfo are those of package
// bearer.
package web
