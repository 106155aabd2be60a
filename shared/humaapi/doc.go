// Package humaapi has what APIs share that are built with huma: errors as problem documents (RFC 9457), the OpenAPI
// document and the page that shows it, and a router.
//
// huma has one error type for a whole program. Importing this package makes it [Problem].
package humaapi
