package passkey

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
)

// maxUserHandle bounds a user handle, in bytes (section 5.4.3).
const maxUserHandle = 64

// loginWithout is the purpose of a challenge for a login without a password.
func loginWithout(browser string) purpose { return purpose{ceremony: "login", browser: browser} }

// secondStep is the purpose of a challenge for the second step of a login.
func secondStep(user account.User, browser string) purpose {
	return purpose{ceremony: "second step of " + user.ID, browser: browser}
}

// BeginLogin returns the options of navigator.credentials.get as JSON, for a login without a password by any user.
// browser is the digest of a secret that only the browser has. The error is that of the source of randomness.
func (s *Service) BeginLogin(browser string) (string, error) {
	challenge, err := s.challenges.issue(loginWithout(browser))
	if err != nil {
		return "", err
	}
	options, _, err := s.party.BeginDiscoverableLogin(
		webauthn.WithChallenge(challenge), webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(options.Response)
	return string(text), err
}

// BeginSecondStep is BeginLogin for the second step of a login of a user, who has a passkey among the factors.
func (s *Service) BeginSecondStep(user account.User, factors []secondfactor.Factor, browser string) (string, error) {
	o, err := newOwner(user, factors)
	if err != nil {
		return "", err
	}
	challenge, err := s.challenges.issue(secondStep(user, browser))
	if err != nil {
		return "", err
	}
	options, _, err := s.party.BeginLogin(o, webauthn.WithChallenge(challenge))
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(options.Response)
	return string(text), err
}

// Login returns the user who has answered a challenge of BeginLogin, and what completes the login. The answer is an
// AuthenticationResponseJSON; of the attempt, the username and the password are not used. The result is logged and
// counted as that of a password is. It returns account.ErrPasskey, ErrExpired, an *account.ThrottledError, or an error
// of ctx or the store.
func (s *Service) Login(
	ctx context.Context,
	a account.Attempt,
	browser, answer string,
) (account.User, secondfactor.Completion, error) {
	t := assertion{Attempt: a, purpose: loginWithout(browser)}
	done, err := s.checkLogin(ctx, &t, answer)
	s.cfg.Login.LogPasskey(ctx, t.user, a, err)
	return t.user, done, err
}

// checkLogin returns what completes the login of the user who has given an answer, and sets the user of t as soon as it
// is known.
func (s *Service) checkLogin(ctx context.Context, t *assertion, answer string) (secondfactor.Completion, error) {
	if err := s.parse(t, answer); err != nil {
		return secondfactor.Completion{}, err
	}
	if err := s.findOwner(ctx, t); err != nil {
		return secondfactor.Completion{}, err
	}
	return s.verifyCounted(ctx, t)
}

// SecondStep returns what completes the login of a user with these factors, who has answered a challenge of
// BeginSecondStep. The errors are those of Login, except *account.ThrottledError: the caller counts tries.
func (s *Service) SecondStep(
	ctx context.Context,
	user account.User,
	factors []secondfactor.Factor,
	browser, answer string,
) (done secondfactor.Completion, err error) {
	t := assertion{purpose: secondStep(user, browser), user: user, afterPassword: true}
	if err = s.parse(&t, answer); err != nil {
		return done, err
	}
	if t.owner, err = newOwner(user, factors); err != nil {
		return done, err
	}
	return s.verify(ctx, &t)
}

// assertion is an answer that is being checked.
type assertion struct {
	account.Attempt
	purpose       purpose
	afterPassword bool
	answer        *protocol.ParsedCredentialAssertionData
	challenge     secondfactor.Challenge
	user          account.User // zero if nobody has the passkey
	owner         *owner
}

// parse reads an answer and checks that it is to a challenge of the purpose.
func (s *Service) parse(t *assertion, answer string) (err error) {
	if t.answer, err = protocol.ParseCredentialRequestResponseBytes([]byte(answer)); err != nil {
		return refused(err)
	}
	t.challenge, err = s.challenges.check(t.answer.Response.CollectedClientData.Challenge, t.purpose)
	return err
}

// isUserHandle reports whether a text can be looked up as the id of a user.
func isUserHandle(text string) bool {
	return record.CheckName("user handle", text, maxUserHandle) == nil
}

// findOwner finds the user of the user handle, if the user has the passkey.
func (s *Service) findOwner(ctx context.Context, t *assertion) error {
	t.owner = &owner{}
	handle := string(t.answer.Response.UserHandle)
	if !isUserHandle(handle) {
		return nil // counted as that of an unknown user
	}
	user, err := s.cfg.Store.UserByID(ctx, handle)
	if errors.Is(err, record.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	factors, err := s.cfg.Store.SecondFactors(ctx, user.ID)
	if err != nil {
		return err
	}
	o, err := newOwner(user, factors)
	if err != nil {
		return err
	}
	if o.find(t.answer.RawID) >= 0 {
		t.user, t.owner = user, o
	}
	return nil
}

// verifyCounted counts a try of a login without a password, verifies the answer, and gives the try back if it is right.
// Answers with a passkey that the user does not have do not count against the user, whose id is no secret.
func (s *Service) verifyCounted(ctx context.Context, t *assertion) (done secondfactor.Completion, err error) {
	of := t.user
	if of.ID == "" {
		of.ID = "unknown " + s.cfg.Login.NameDigest(t.answer.ID)
	}
	key, err := s.cfg.Login.ReservePasskey(ctx, of, t.Address, t.Browser)
	if err != nil {
		return done, err
	}
	if !s.cfg.Login.Admits(t.user) {
		return done, account.ErrPasskey
	}
	if done, err = s.verify(ctx, t); err != nil {
		return done, err
	}
	if err = s.cfg.Store.GiveBackTries(ctx, key); err != nil {
		return done, err
	}
	t.user.Login, err = s.cfg.Login.KeyOf(ctx, t.user, t.Address, t.Browser)
	return done, err
}

// verify verifies the answer of a user's passkey (section 7.2).
func (s *Service) verify(ctx context.Context, t *assertion) (done secondfactor.Completion, err error) {
	i := t.owner.find(t.answer.RawID)
	if i < 0 {
		return done, account.ErrPasskey
	}
	f, key := t.owner.factors[i], t.owner.keys[i]
	session := webauthn.SessionData{
		Challenge: t.answer.Response.CollectedClientData.Challenge, UserID: t.owner.WebAuthnID(),
		UserVerification: protocol.VerificationPreferred, AuthorizeUVInitialization: t.afterPassword,
	}
	if !t.afterPassword {
		session.UserVerification = protocol.VerificationRequired
	}
	proved, err := s.party.ValidateLogin(t.owner, session, t.answer)
	switch {
	case err != nil:
		return done, refused(err)
	case key.Copied:
		return done, ErrCopied
	case proved.Authenticator.CloneWarning:
		return done, s.markCopied(ctx, f, key, t.challenge)
	case !t.afterPassword && !key.Verified:
		return done, ErrUnverified // somebody who has found a key without a PIN can set one (section 7.2 step 25)
	}
	key.BackedUp, key.Verified = proved.Flags.BackupState, proved.Flags.UserVerified
	done = secondfactor.Completion{UsedFactor: &f, OldSecret: f.Secret, Challenge: t.challenge}
	f.Secret, f.LastStep, f.LastUsedAt = key.text(), int64(proved.Authenticator.SignCount), s.cfg.Now()
	if t.afterPassword {
		done.Methods = secondfactor.WithSecondFactor(methodsOf(key)...)
	} else {
		done.Methods = append(methodsOf(key), grant.MethodMultiFactor)
	}
	return done, nil
}

// markCopied records that a passkey was copied, so that it no longer logs anybody in, and returns ErrCopied. It returns
// ErrExpired for a repeated answer, whose counter is not new either.
func (s *Service) markCopied(
	ctx context.Context,
	f secondfactor.Factor,
	key credential,
	used secondfactor.Challenge,
) error {
	old := f.Secret
	key.Copied = true
	f.Secret = key.text()
	err := s.cfg.Store.MarkPasskey(ctx, f, old, used, s.cfg.Now())
	switch {
	case errors.Is(err, secondfactor.ErrIncorrect):
		return ErrExpired
	case err != nil:
		return err
	}
	return ErrCopied
}
