// Package outbound sends requests to URLs that a client, an administrator or a stranger chose: client
// metadata documents, JWK Sets, back-channel logout, webhooks and the keys of trusted issuers. Nothing
// else in the server may send such a request.
//
// A [Guard] keeps these requests from reaching the server's own network (server-side request
// forgery) and from taking its memory or its time:
//
//   - https only, with the certificate verified.
//   - Public addresses only. The name is resolved once, every address is checked, and the
//     connection is made to an address that was checked, never to the name. The socket's address
//     is checked again before it connects. A name with one address that is not public is refused.
//   - No proxy, no redirect, no cookie, no credentials, no compression, no reuse of connections.
//   - A limit on the size and media type of the response, on the time, on how often a host and an
//     address get a request, and on the number of requests at once. Where strangers choose the URLs, a host
//     and an address have a smaller limit of their own, so that a few slow ones do not keep others waiting. Names
//     are free, and resolving one may take long, so callers must limit how often they ask for a stranger.
//   - Documents and failures are cached, a bounded number of each kind, and concurrent requests
//     for one document become one.
package outbound
