// Package audit is the audit log of what people and administrators do. It defines actors and records, chains records by
// hashes, and exports and verifies them.
package audit

import "context"

// Kind is a kind of actor.
type Kind string

// The kinds of actors.
const (
	// Server is the server itself, for example when it deletes what has expired.
	Server Kind = "server"
	// Command is somebody who runs a command on the machine of the database.
	Command Kind = "command"
	// User is a person who is logged in, or is about to log in.
	User Kind = "user"
	// Client is a service with a token of its own.
	Client Kind = "client"
)

// Actor is who does something, and from where.
type Actor struct {
	Kind Kind
	// ID is the user's id, the client's id, or the name of the operating system's user who runs a command.
	ID string
	// Name is the username of a user; empty otherwise.
	Name string
	// Address is the IP address that the request came from; empty for commands and the server itself.
	Address string
	// ClientID is the client whose token or page the user has used, or empty.
	ClientID string
	// RequestID is the id of the request in the log; empty outside of requests.
	RequestID string
}

// ActsOn reports whether a acts on the things of another user: an administrator does, and not the user.
func (a Actor) ActsOn(userID string) bool {
	switch a.Kind {
	case Command, Client:
		return true
	case User:
		return a.ID != "" && a.ID != userID
	case Server:
	}
	return false
}

type actorKey struct{}

// WithActor returns a context whose actor is a.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorFrom returns the actor of the context; the [Server] by default.
func ActorFrom(ctx context.Context) Actor {
	if a, ok := ctx.Value(actorKey{}).(Actor); ok {
		return a
	}
	return Actor{Kind: Server}
}

// WithClientID returns a context whose actor uses a client.
func WithClientID(ctx context.Context, id string) context.Context {
	a := ActorFrom(ctx)
	a.ClientID = id
	return WithActor(ctx, a)
}
