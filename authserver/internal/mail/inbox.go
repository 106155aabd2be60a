package mail

import (
	"context"
	"time"
)

// Kept is a mail of the inbox.
type Kept struct {
	Message
	// At is when the mail was written.
	At time.Time
}

// InboxStore keeps mails. It is safe for concurrent use.
type InboxStore interface {
	// AddToInbox keeps a mail.
	AddToInbox(ctx context.Context, m Message, now time.Time) error
}

// Inbox is a Transport that keeps mails in the database instead of sending them, for trying Hallpass out. With what
// is in it, one can choose a password for every user.
type Inbox struct {
	Store InboxStore
	Now   func() time.Time
}

// Deliver keeps a message.
func (i *Inbox) Deliver(ctx context.Context, m Message) error {
	return i.Store.AddToInbox(ctx, m, i.Now())
}
