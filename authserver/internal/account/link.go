package account

import (
	"errors"
	"time"
)

// Lifetimes of links in mails.
const (
	// LinkLifetime is how long a link in a mail works.
	LinkLifetime = 30 * time.Minute
	// InvitationLifetime is how long an invitation and the link in its mail work.
	InvitationLifetime = 7 * 24 * time.Hour
)

// Errors about links.
var (
	// ErrLinkUnknown is returned for a link that does not exist, was used, has expired, or belongs to a user who has
	// since been disabled or got another password or email address. Callers cannot tell which.
	ErrLinkUnknown = errors.New("the link is not valid")
	// ErrEmailTaken is returned for an email address that is the verified address of another user.
	ErrEmailTaken = errors.New("another user has this email address")
)

// EnrolPath is the path of the page of an EnrolLink.
const EnrolPath = "/enrol"

// LinkKind says what a link of a user is for.
type LinkKind string

// The kinds of links.
const (
	// ResetLink lets a user choose a new password.
	ResetLink LinkKind = "reset_password"
	// VerifyLink marks the user's email address as verified.
	VerifyLink LinkKind = "verify_email"
	// ChangeLink gives the user a new email address, which is verified.
	ChangeLink LinkKind = "change_email"
	// EnrolLink lets an administrator who has no second factor add the first one. It is in no mail: a command prints it.
	EnrolLink LinkKind = "enrol_second_factor"
)

// Link is a link in a mail to a user. It works once.
type Link struct {
	// Digest is the digest of the link's secret.
	Digest string
	// Kind is what the link is for.
	Kind LinkKind
	// User is the user whose link it is. The link works as long as the user's email address and password stay
	// the same.
	User User
	// NewEmail is the address that a ChangeLink gives to the user; empty for the other kinds.
	NewEmail string
	// CreatedAt is when the link was made.
	CreatedAt time.Time
	// ExpiresAt is when it stops working.
	ExpiresAt time.Time
}

// WorksFor reports whether the user with this id, who is logged in, can use the link; the id is empty if nobody is
// logged in. A ChangeLink works only for its own user: a mistyped address may have brought it to a stranger, and an
// attacker may have sent it to somebody else. The other kinds work for everybody who has the mail.
func (l Link) WorksFor(userID string) bool {
	return l.Kind != ChangeLink || l.User.ID == userID
}

// Email returns the email address that a VerifyLink or a ChangeLink confirms.
func (l Link) Email() string {
	if l.Kind == ChangeLink {
		return l.NewEmail
	}
	return l.User.Email
}

// SignUpLink is a link in a mail by which somebody without an account makes one. It works once, as long as its
// address is nobody's verified address.
type SignUpLink struct {
	// Digest is the digest of the link's secret.
	Digest string
	// Email is the address that the mail went to. The account gets it as its verified address.
	Email string
	// CreatedAt is when the link was made.
	CreatedAt time.Time
	// ExpiresAt is when it stops working.
	ExpiresAt time.Time
}

// Invitation lets the owner of an email address make an account.
type Invitation struct {
	// Email is the address.
	Email string
	// Name is the display name that the page suggests; empty for none.
	Name string
	// Groups are the groups of the new account.
	Groups []string
	// CreatedAt is when the invitation was made.
	CreatedAt time.Time
	// ExpiresAt is when it stops working.
	ExpiresAt time.Time
}
