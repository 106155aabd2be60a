// Package web is the edge of the authorization server: its endpoints, one file
// each, and the one list of routes.
//
// It exists to be strict, so that what comes behind it need not be. A request to the
// token endpoint passes these phases in this order, and no grant can leave one out:
//
//	form.go      method, query, content type, size, repeated and malformed parameters
//	client.go    which client is asking, and is it that client
//	token.go     is the grant type known, and is this client allowed to use it
//	package engine
//
// Whatever goes wrong on the way is an error value; errors.go alone decides what it
// looks like in HTTP, to programs and on the pages for people.
package web
