package api

import "net/http"

// scopes are the scopes of routes and what they allow, for the docs page and the metadata.
var scopes = map[string]string{
	"profile":     "Read the username and the full name of the user",
	"items:read":  "Read items",
	"items:write": "Read and change items",
	"items:admin": "Read and change the items of everybody",
	groupsScope:   "Read the groups of the user",
}

// ScopeIncludes are the scopes that others include, for the guard.
var ScopeIncludes = map[string][]string{"items:write": {"items:read"}}

// routes returns the operations of an API that stores no items. To add one, add its line here and its handler in
// a file of its own.
func routes(items *itemHandlers) []route {
	return []route{
		{http.MethodGet, "/users/me", byUser("profile"), "Show the user behind the token", handle(currentUser)},
		{http.MethodGet, "/items/{item_id}", byClient("items:read"), "Show an item", handle(items.read, reads)},
	}
}

// storedRoutes returns the operations that an API has besides if it stores items.
func storedRoutes(items *itemHandlers) []route {
	const all, one = "/admin/items", "/admin/items/{owner}/{item_id}"
	admin, writer := byGroup("admins", "items:admin"), byClient("items:write")
	return []route{
		{http.MethodGet, "/items", byClient("items:read"), "List items", handle(items.list)},
		{http.MethodPost, "/items", writer, "Create an item", handle(items.create, creates)},
		{http.MethodPut, "/items/{item_id}", writer, "Write an item", handle(items.replace, writes, mayCreate)},
		{http.MethodPatch, "/items/{item_id}", writer, "Change an item", handle(items.patch, patches, mayCreate)},
		{http.MethodDelete, "/items/{item_id}", writer, "Delete an item", handle(items.remove, deletes)},
		{http.MethodGet, all, admin, "List the items of everybody", handle(items.listAll)},
		{http.MethodGet, one, admin, "Show an item of anybody", handle(items.readAny, reads, ofAnybody)},
		{http.MethodPut, one, admin, "Write an item of anybody", handle(items.replaceAny, writes, ofAnybody)},
		{http.MethodPatch, one, admin, "Change an item of anybody", handle(items.patchAny, patches, ofAnybody)},
		{http.MethodDelete, one, admin, "Delete an item of anybody", handle(items.removeAny, deletes, ofAnybody)},
	}
}
