package web

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/emailcheck"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/outbound"
	"github.com/hallpass-auth/hallpass/authserver/internal/passkey"
	"github.com/hallpass-auth/hallpass/authserver/internal/recovery"
	"github.com/hallpass-auth/hallpass/authserver/internal/revocation"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
	"github.com/hallpass-auth/hallpass/authserver/internal/signup"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// failure is the HTTP form of an error, for clients and for pages.
type failure struct {
	status      int
	code        oauth.ErrorCode // for clients, and for the metrics
	description string          // for the client's developers
	retryAfter  int             // seconds; 0 sends no Retry-After
	unexpected  bool            // a fault of the server, to be logged

	title    *catalog.Message // of a page; nil for a generic one
	userText *catalog.Message // on a page; nil to derive it from the description
	advice   *catalog.Message // on a page: what the user can do
}

// idTokenKeyWait is the Retry-After of ErrNoIDTokenKey, in seconds.
const idTokenKeyWait = 60

// statuses holds the status of each OAuth error that is not 400 (RFC 6749 section 5.2).
var statuses = map[oauth.ErrorCode]int{
	oauth.CodeInvalidClient: http.StatusUnauthorized,
	oauth.CodeInvalidToken:  http.StatusUnauthorized, // RFC 6750 section 3.1
}

// failureOf maps an error to HTTP. The text of an unknown error is never shown.
func failureOf(err error) failure {
	var protocol *oauth.Error
	var page *pageError
	switch {
	case errors.As(err, &protocol):
		status, ok := statuses[protocol.Code]
		if !ok {
			status = http.StatusBadRequest
		}
		return failure{status: status, code: protocol.Code, description: protocol.Description}
	case errors.As(err, &page):
		f := failure{
			status: http.StatusBadRequest, code: "refused", retryAfter: page.retryAfter,
			description: page.text.English(), title: page.title, userText: page.text, advice: page.advice,
		}
		if f.retryAfter > 0 {
			f.status, f.code = http.StatusServiceUnavailable, oauth.CodeTemporarilyUnavailable
		}
		return f
	case errors.Is(err, errLargePush):
		return failure{
			status: http.StatusRequestEntityTooLarge, code: oauth.CodeInvalidRequest,
			description: "the request is longer than " + strconv.Itoa(maxQuery) + " bytes",
		}
	case errors.Is(err, revocation.ErrNotFound):
		return failure{status: http.StatusNotFound, code: "not_found", description: "Not Found"}
	}
	for _, of := range []func(error) (failure, bool){
		accountFailureOf, factorFailureOf, passkeyFailureOf, mailFailureOf, limitFailureOf, temporaryFailureOf,
	} {
		if f, ok := of(err); ok {
			return f
		}
	}
	return failure{
		status: http.StatusInternalServerError, code: oauth.CodeServerError, unexpected: true,
		description: "internal error: the server log has the reason under the id in X-Request-Id",
		userText:    say("Sorry, this is a problem on our side."),
		advice:      say("Try again in a few minutes."),
	}
}

// deviceFailureOf is failureOf for the page where users type the code of a device. At other endpoints,
// grant.ErrCodeUnknown is about an authorization code.
func deviceFailureOf(err error) failure {
	f := failure{status: http.StatusBadRequest}
	switch {
	case errors.Is(err, errMalformedUserCode):
		f.code = oauth.CodeInvalidRequest
		f.userText = say("A code has 8 letters, like {example}. Check what your device shows.", "BCDF-GHJK")
	case errors.Is(err, grant.ErrCodeUnknown):
		f.code = oauth.CodeInvalidGrant
		f.userText = say("No device is showing this code. Check the code, or start again on the device: "+
			"codes expire after {n} minutes.", 10)
	default:
		return failureOf(err)
	}
	return f
}

// accountFailureOf maps the errors of pages about a user's account.
func accountFailureOf(err error) (f failure, ok bool) {
	f = failure{status: http.StatusBadRequest, code: "refused"}
	switch {
	case errors.Is(err, account.ErrIncorrect):
		f.code, f.userText = oauth.CodeInvalidGrant, say("Wrong username or password.")
	case errors.Is(err, account.ErrWeakPassword), errors.Is(err, account.ErrBadName):
		f.userText = refusalText(err)
	case errors.Is(err, errNotYourPassword):
		f.code, f.userText = oauth.CodeInvalidGrant, say("The password is wrong. Type your current password.")
	case errors.Is(err, errNotYourUsername):
		f.userText = say("That is not your username. Type it exactly as shown.")
	case errors.Is(err, account.ErrChanged):
		f.userText = say("Your account was changed at the same time. Try again.")
	case errors.Is(err, account.ErrDemo):
		f.title, f.userText = say("Account not deleted"), say("It belongs to the demo, so many people may know its password.")
		f.advice = say("Choose another password first, or ask your administrator to delete it.")
	case errors.Is(err, account.ErrLastAdministrator):
		f.title, f.userText = say("Account not deleted"), say("Nobody else administers this server.")
		f.advice = say("Make another user an administrator first.")
	case errors.Is(err, account.ErrLinkUnknown):
		f.title = say("This link does not work")
		f.userText = say("It was already used, has expired, or is incomplete.")
		f.advice = say("Ask for another email where you asked for this one.")
	case errors.Is(err, account.ErrEmailTaken):
		f.title = say("You already have an account")
		f.userText = say("An account with this email address exists.")
		f.advice = say("Log in with it. If you have forgotten the username or the password, ask for an email on the " +
			"login page.")
	default:
		return failure{}, false
	}
	return f, true
}

// factorFailureOf maps the errors of second factors.
func factorFailureOf(err error) (f failure, ok bool) {
	f = failure{status: http.StatusBadRequest, code: "refused"}
	switch {
	case errors.Is(err, secondfactor.ErrIncorrect):
		f.code = oauth.CodeInvalidGrant
		f.userText = say("This code is not valid. Codes from an app change every {n} seconds, and each works once.",
			codeSeconds)
	case errors.Is(err, secondfactor.ErrTooMany):
		f.userText = say("You have {apps} apps or {passkeys} passkeys, which is the maximum: remove one first.",
			secondfactor.MaxFactors, secondfactor.MaxPasskeys)
	case errors.Is(err, secondfactor.ErrRequired):
		f.title, f.userText = say("You need a second factor"), say("Your administrator requires one, and you have only one.")
		f.advice = say("Add the new one first, then remove this one.")
	case errors.Is(err, secondfactor.ErrEnrolment):
		f.title, f.userText = say("This page is too old"), say("The key on it has expired. Nothing was changed.")
		f.advice = say("Remove the entry from your app, and start again.")
	case errors.Is(err, secondfactor.ErrSealed):
		f.status, f.title = http.StatusServiceUnavailable, say("Codes from apps do not work right now")
		f.userText = say("The server cannot read what it needs to check them.")
		f.advice = say("Use a recovery code, or tell your administrator. The server log says what is missing.")
	default:
		return failure{}, false
	}
	return f, true
}

// passkeyFailureOf maps the errors of passkeys.
func passkeyFailureOf(err error) (f failure, ok bool) {
	f = failure{status: http.StatusBadRequest, code: oauth.CodeInvalidGrant}
	switch {
	case errors.Is(err, passkey.ErrExpired):
		f.code, f.userText = "refused", say("This page was open for too long. Try again.")
	case errors.Is(err, passkey.ErrRegistered), errors.Is(err, secondfactor.ErrTaken):
		f.code, f.userText = "refused", say("This passkey is already registered.")
	case errors.Is(err, passkey.ErrCopied):
		f.userText = say("This passkey no longer works: there may be a copy of it. Log in another way, and remove it.")
	case errors.Is(err, passkey.ErrUnverified):
		f.userText = say("This passkey works only after your password. Type your username and password first.")
	case errors.Is(err, account.ErrPasskey):
		f.userText = say("This passkey was not accepted. Use another one, or another way to log in.")
	default:
		return failure{}, false
	}
	return f, true
}

// mailFailureOf maps the errors of pages that ask for a mail or make an account.
func mailFailureOf(err error) (f failure, ok bool) {
	f = failure{status: http.StatusBadRequest, code: "refused"}
	switch {
	case errors.Is(err, signup.ErrUsername):
		f.userText = say("This username, or one that looks the same, is in use. Choose another one.")
	case errors.Is(err, signup.ErrEmail), errors.Is(err, emailcheck.ErrEmail):
		f.userText = say("Type an email address, such as {example}.", "ada@example.com")
	case errors.Is(err, emailcheck.ErrSame):
		f.userText = say("This is already your email address.")
	case errors.Is(err, emailcheck.ErrNothingToVerify):
		f.userText = say("There is no email address to confirm.")
	case errors.Is(err, signup.ErrDomain):
		f.userText = say("You cannot sign up with an email address at this domain.")
	case errors.Is(err, recovery.ErrTyped):
		f.userText = say("Type your username or your email address.")
	case errors.Is(err, mail.ErrTooMany):
		f.status, f.retryAfter = http.StatusTooManyRequests, int(mail.LimitPeriod/time.Second)
		f.code, f.userText = oauth.CodeTemporarilyUnavailable,
			say("Too many emails were requested from your network. Try again in an hour.")
	default:
		return failure{}, false
	}
	return f, true
}

// temporaryFailureOf maps the errors after which a client may try again.
func temporaryFailureOf(err error) (f failure, ok bool) {
	f = failure{status: http.StatusServiceUnavailable, code: oauth.CodeTemporarilyUnavailable, retryAfter: 1}
	var throttled *account.ThrottledError
	var overloaded *account.OverloadedError
	switch {
	case errors.As(err, &throttled):
		wait := waitText(throttled.Seconds())
		f.status, f.retryAfter = http.StatusTooManyRequests, throttled.Seconds()
		f.description = "too many failed attempts: try again in " + wait.English()
		f.userText = say("Too many failed attempts. Try again in {wait}.", wait)
	case errors.As(err, &overloaded):
		wait := waitText(overloaded.Seconds())
		f.retryAfter = overloaded.Seconds()
		f.description = "too many logins at once: try again in " + wait.English()
		f.userText = say("Many people are logging in right now. Try again in {wait}.", wait)
	case errors.Is(err, client.ErrTooMany):
		f.retryAfter = int(client.MinUnused / time.Second)
		f.description = "too many clients are registered at once: try again in " + waitText(f.retryAfter).English()
	case errors.Is(err, outbound.ErrUnavailable):
		f.retryAfter = int(outbound.FailureMemory / time.Second)
		f.description = "the keys of the client could not be fetched: try again in " + waitText(f.retryAfter).English()
	case errors.Is(err, issuing.ErrNoIDTokenKey):
		f.retryAfter, f.unexpected = idTokenKeyWait, true
		f.description = "the server has no key that signs the ID tokens of this client now: try again in " +
			waitText(f.retryAfter).English()
	case errors.Is(err, context.Canceled):
		f.description = "the request was canceled"
	case errors.Is(err, store.ErrUnavailable):
		f.retryAfter, f.unexpected = 2, true
		f.description = "the server is temporarily unavailable: try again in a moment"
		f.title = say("Temporarily unavailable")
		f.userText, f.advice = say("Sorry, this service is not available right now."), say("Try again in a moment.")
	default:
		return failure{}, false
	}
	return f, true
}

// limitFailureOf maps the errors about a limit that the client, or others, have reached.
func limitFailureOf(err error) (f failure, ok bool) {
	f = failure{status: http.StatusTooManyRequests, code: oauth.CodeTemporarilyUnavailable}
	switch {
	case errors.Is(err, grant.ErrTooManyDevices):
		f.retryAfter = int(grant.DeviceInterval / time.Second)
		f.description = "too many devices wait for their users: try again in a moment"
	case errors.Is(err, grant.ErrTooManyPushed):
		f.retryAfter = int(grant.PushedLifetime / time.Second)
		f.description = "too many pushed requests wait for their users: try again in a moment"
	case errors.Is(err, errManyRegistrations):
		f.retryAfter = int(registrationInterval / time.Second)
		f.description = "too many registrations or changes of clients from this network: try again in " +
			waitText(f.retryAfter).English()
	case errors.Is(err, errManyForms):
		f.retryAfter = int(formInterval / time.Second)
		f.userText = say("Too many changes at once. Try again in {wait}.", waitText(f.retryAfter))
	default:
		return failure{}, false
	}
	return f, true
}

// waitText returns a wait in words: in seconds up to two minutes, then in minutes.
func waitText(seconds int) *catalog.Message {
	if seconds <= 120 {
		return say("{n} seconds", seconds)
	}
	return say("{n} minutes", (seconds+59)/60)
}
