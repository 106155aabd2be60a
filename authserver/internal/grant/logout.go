package grant

import "time"

// SessionLifetime is how long a browser stays logged in.
const SessionLifetime = 12 * time.Hour

// LogoutNotice says that a client must be told that a session has ended (OpenID Connect Back-Channel Logout
// 1.0).
type LogoutNotice struct {
	// ID identifies the notice.
	ID int64
	// ClientID is the client to tell.
	ClientID string
	// Subject is the user, SessionID the session (sid) as the client's ID tokens have them.
	Subject, SessionID string
	// Attempts counts the attempts to send it. It is at least 1 for a notice that was taken, and says
	// who may finish it: another server that takes the notice later counts one more.
	Attempts int64
}
