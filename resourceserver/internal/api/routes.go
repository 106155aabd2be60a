package api

import "net/http"

// scopes are the scopes of this API and what they allow, for the docs page and the metadata.
var scopes = map[string]string{
	"profile":    "Read the username and the full name of the user",
	"items:read": "Read items",
}

// routes are all operations of the API. To add one, add its line here and its handler in a file of its own.
var routes = []route{
	{http.MethodGet, "/users/me", byUser("profile"), "Show the user behind the token", handle(currentUser)},
	{http.MethodGet, "/items/{item_id}", byClient("items:read"), "Show an item", handle(readItem)},
}
