// Package mail sends mails to users.
//
// A mail is asked for by a row in the database: by a form, or by what changes a user, in the same transaction. A
// running server takes the requests that are due, writes the mail and delivers it. So a form takes as long for an
// address that nobody has as for any other, no mail is lost when a server stops, and the secret of a link is in
// memory only until the mail is delivered. A mail is sent at least once, and may be sent twice if a server stops
// before it has recorded the success.
package mail

import (
	"context"
	"errors"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

// Kind says what a mail is about. It is the name of a template.
type Kind string

// The kinds of mails.
const (
	// ResetPassword has a link for choosing a new password.
	ResetPassword Kind = "reset_password"
	// PasswordChanged tells users that their password was changed.
	PasswordChanged Kind = "password_changed"
	// SecondFactorAdded, SecondFactorRemoved, RecoveryCodeUsed and RecoveryCodesReplaced tell users about their second
	// factors.
	SecondFactorAdded     Kind = "second_factor_added"
	SecondFactorRemoved   Kind = "second_factor_removed"
	RecoveryCodeUsed      Kind = "recovery_code_used"
	RecoveryCodesReplaced Kind = "recovery_codes_replaced"
	// PasskeyCopied tells users that a passkey was refused because there seems to be a copy of it.
	PasskeyCopied Kind = "passkey_copied"
	// PasswordOnly tells users that a program has logged in with their password, and was refused, because they have a
	// second factor.
	PasswordOnly Kind = "password_only"
	// WrongCodes tells users that somebody with their password has tried too many codes.
	WrongCodes Kind = "wrong_codes"
	// NewDevice tells users of a login from a browser and an address that are both unknown.
	NewDevice Kind = "new_device"
	// VerifyEmail has a link that marks the user's email address as verified.
	VerifyEmail Kind = "verify_email"
	// ChangeEmail goes to the new email address of a user, with a link that makes it the user's.
	ChangeEmail Kind = "change_email"
	// EmailChanging tells users at their email address that another one was asked for.
	EmailChanging Kind = "email_changing"
	// EmailChanged tells users at their previous email address that they have another one.
	EmailChanged Kind = "email_changed"
	// AccountDeleted tells people that their account was deleted, by themselves or by an administrator.
	AccountDeleted Kind = "account_deleted"
	// SignUp has a link for making an account. A user who has the address already gets HaveAccount instead.
	SignUp Kind = "sign_up"
	// Invitation is SignUp for somebody whom an administrator has invited.
	Invitation Kind = "invitation"
	// HaveAccount tells users that they have an account already. Nobody can ask for it: it takes the place of SignUp,
	// Invitation and ChangeEmail.
	HaveAccount Kind = "have_account"
)

// Limits of requests that strangers make. All servers of a database count together.
const (
	// LimitPeriod is how long a request counts for MaxRequests and MaxRequestsOfNetwork.
	LimitPeriod = time.Hour
	// MaxRequests is how many may be made in all, without those from known places.
	MaxRequests = 20_000
	// MaxRequestsOfNetwork is how many one network (ratelimit.SiteNetwork) or known place may make.
	MaxRequestsOfNetwork = 30

	// NamePeriod is how long a request counts for its name. It is the lifetime of the links in the mails: whenever a
	// request is dropped because of MaxRequestsOfName, the mailbox has as many mails whose links still work.
	NamePeriod = account.LinkLifetime
	// MaxRequestsOfName is how many may be made for one name, by all networks together. More are accepted and dropped.
	// Those from a known place count by themselves, so that nobody else can use them up.
	MaxRequestsOfName = 5
	// MaxRequestsOfNameByNetwork is how many one network or known place may make for one name: one stranger cannot use up
	// those of all. More are accepted and dropped.
	MaxRequestsOfNameByNetwork = 3
)

// ErrTooMany is returned for a request that exceeds MaxRequests or MaxRequestsOfNetwork.
var ErrTooMany = errors.New("too many emails were requested")

// Request asks for a mail.
type Request struct {
	// ID is the number of the row.
	ID int64
	// Kind is what the mail is about.
	Kind Kind
	// Typed is what somebody typed: for ResetPassword a username or an email address, for the kinds about another
	// email address or a new account the address that gets the mail. It may be a mistake, such as a password, so it is
	// deleted when the mail is sent, and never logged. For AccountDeleted it is the address that the user had.
	Typed string
	// TypedDigest is the keyed digest under which requests for the same name are counted.
	TypedDigest string
	// Network is the digest of the network or the known place that the request came from; empty for one that no stranger
	// made.
	Network string
	// FromKnownPlace says that the user with this name has logged in from there before. It is not stored: only
	// RequestMail looks at it.
	FromKnownPlace bool
	// UserID is the user whom the mail is about; empty if only Typed says who gets it.
	UserID string
	// Language is that of the page where the mail was asked for, by its BCP 47 tag; empty for that of the user.
	Language string
	// CreatedAt is when the request was made.
	CreatedAt time.Time
	// Attempts is how often a server has taken the request.
	Attempts int64
}

// Message is a mail to one address, in plain text.
type Message struct {
	// To is the email address.
	To string
	// Subject is one line.
	Subject string
	// Text is the body. Lines end with \n.
	Text string
	// Language is the language of the mail, by its BCP 47 tag.
	Language string
}

// Transport delivers messages. It is safe for concurrent use.
type Transport interface {
	// Deliver delivers a message, or returns why it could not. The reason does not contain the message.
	Deliver(ctx context.Context, m Message) error
}
