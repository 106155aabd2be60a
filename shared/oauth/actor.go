package oauth

// Actor is the claim act: who acts for the subject of a token (RFC 8693 section 4.1).
type Actor struct {
	// Subject is the id of the client that acts.
	Subject string `json:"sub"`
	// Actor is who acted for the subject before; nil for the first.
	Actor *Actor `json:"act,omitempty"`
}

// NewActor returns the claim for the clients that act for a subject, the latest first; nil if there are none.
func NewActor(clients []string) *Actor {
	if len(clients) == 0 {
		return nil
	}
	return &Actor{Subject: clients[0], Actor: NewActor(clients[1:])}
}

// Clients is the inverse of NewActor.
func (a *Actor) Clients() (clients []string) {
	for ; a != nil; a = a.Actor {
		clients = append(clients, a.Subject)
	}
	return clients
}

// TokenTypeAccess is the type of an access token in a token exchange (RFC 8693 section 3).
const TokenTypeAccess = "urn:ietf:params:oauth:token-type:access_token" //nolint:gosec // no credential
