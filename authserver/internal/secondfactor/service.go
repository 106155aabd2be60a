package secondfactor

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// enrolmentLifetime is how long a user has to type the first code of a new app after Begin.
const enrolmentLifetime = time.Hour

// maxName is the maximum length of a factor's name, in bytes.
const maxName = 64

// DefaultName is the name of an app that its user has not named.
const DefaultName = "Authenticator app"

// Store is the storage that Service needs. Its methods are safe for concurrent use.
type Store interface {
	// SecondFactors returns the second factors of a user, in the order in which they were added.
	SecondFactors(ctx context.Context, userID string) ([]Factor, error)
	// CountRecoveryCodes returns how many recovery codes a user has left.
	CountRecoveryCodes(ctx context.Context, userID string) (int, error)
	// AddSecondFactor adds the factor and the recovery codes of a completion to a user who is logged in, ends all logins
	// of the user but one session, marks that as one with a second factor, and renews it. It returns ErrTooMany, or
	// account.ErrChanged.
	AddSecondFactor(ctx context.Context, user account.User, c Completion, r account.Renewal, now time.Time) error
	// RemoveSecondFactor removes a factor, and with the last one the recovery codes. It ends all logins of the user but
	// one session, which it renews. It returns ErrUnknown, account.ErrChanged, or ErrRequired if the factor is the last
	// one and must stay.
	RemoveSecondFactor(
		ctx context.Context,
		user account.User,
		id string,
		r account.Renewal,
		mustStay bool,
		now time.Time,
	) error
	// ReplaceRecoveryCodes replaces the recovery codes of a user who has a second factor and is logged in with the session
	// keep. It returns ErrUnknown if the user has none, or account.ErrChanged.
	ReplaceRecoveryCodes(ctx context.Context, user account.User, keep string, digests []string, now time.Time) error
}

// Service checks and changes second factors. It is safe for concurrent use. All fields are required.
type Service struct {
	Store Store
	Vault *Vault
	// Login counts tries of codes.
	Login *account.Login
	// Policy says who must have a second factor.
	Policy Policy
	// Name is what apps call this service.
	Name string
	Now  func() time.Time
	Log  *slog.Logger
}

// Enrolment is an app that is being added as a second factor.
type Enrolment struct {
	// Secret is the app's secret, in groups for people to type.
	Secret string
	// URI is an otpauth URI with the same secret, for the QR code.
	URI string
	// Sealed is the encrypted secret, which Resume and Confirm take.
	Sealed string
}

// Begin begins to add an app for a user. It stores nothing. It returns ErrSealed, or an error of ctx or the store.
func (s *Service) Begin(ctx context.Context, user account.User) (Enrolment, error) {
	text, err := newTOTPSecret(rand.Reader)
	if err != nil {
		return Enrolment{}, err
	}
	until := strconv.FormatInt(s.Now().Add(enrolmentLifetime).Unix(), 10)
	sealed, err := s.Vault.Seal(ctx, until+" "+text, enrolmentPurpose(user))
	return s.enrolment(user, text, sealed), err
}

// Resume returns the enrolment that Begin returned, given its Sealed. It returns ErrEnrolment, ErrSealed, or an
// error of ctx or the store.
func (s *Service) Resume(ctx context.Context, user account.User, sealed string) (Enrolment, error) {
	text, err := s.secretOf(ctx, user, sealed)
	return s.enrolment(user, text, sealed), err
}

func (s *Service) enrolment(user account.User, text, sealed string) Enrolment {
	return Enrolment{Secret: grouped(text), URI: keyURI(s.Name, user.Username, text), Sealed: sealed}
}

// enrolmentPurpose is the purpose that Begin seals for: see Vault.
func enrolmentPurpose(user account.User) string { return "enrolment of " + user.ID }

// secretOf returns the secret of an enrolment.
func (s *Service) secretOf(ctx context.Context, user account.User, sealed string) (string, error) {
	opened, err := s.Vault.Open(ctx, sealed, enrolmentPurpose(user))
	if errors.Is(err, errForged) {
		return "", ErrEnrolment
	}
	if err != nil {
		return "", err
	}
	until, text, _ := strings.Cut(opened, " ")
	seconds, err := strconv.ParseInt(until, 10, 64)
	if err != nil || s.Now().Unix() > seconds {
		return "", ErrEnrolment
	}
	return text, nil
}

// Confirm returns the completion that adds an enrolled app to a user who has the given factors, and the recovery codes
// to show if it is the first one. The code is one that the app shows. It returns ErrIncorrect, account.ErrBadName,
// ErrEnrolment, ErrSealed, or an error of ctx or the store. It stores nothing: Add, or the end of the login, does.
func (s *Service) Confirm(
	ctx context.Context,
	user account.User,
	factors []Factor,
	sealed, name, code string,
) (Completion, []string, error) {
	fail := func(err error) (Completion, []string, error) { return Completion{}, nil, err }
	text, err := s.secretOf(ctx, user, sealed)
	if err != nil {
		return fail(err)
	}
	if name = strings.TrimSpace(name); name == "" {
		name = DefaultName
	}
	if err := record.CheckName("name", name, maxName); err != nil {
		return fail(errors.Join(account.ErrBadName, err))
	}
	step, ok := totpStep(text, digitsOf(code), s.Now(), 0)
	if !ok {
		return fail(ErrIncorrect)
	}
	f := Factor{
		ID: uuid.NewString(), UserID: user.ID, Kind: KindTOTP, Name: name, CreatedAt: s.Now(), LastUsedAt: s.Now(),
		LastStep: step,
	}
	if f.Secret, err = s.Vault.Seal(ctx, text, secretPurpose(f)); err != nil {
		return fail(err)
	}
	if err = s.checkNotAdded(ctx, factors, text); err != nil {
		return fail(err)
	}
	return s.WithRecoveryCodes(Completion{NewFactor: &f, Methods: WithSecondFactor(grant.MethodOTP)}, factors)
}

// WithRecoveryCodes adds recovery codes to a completion that adds a factor to a user who has the given ones, if it is
// the first factor, and returns them to show. The error is that of the source of randomness.
func (s *Service) WithRecoveryCodes(c Completion, factors []Factor) (Completion, []string, error) {
	if len(factors) > 0 {
		return c, nil, nil
	}
	codes, digests, err := newRecoveryCodes(rand.Reader, c.NewFactor.UserID)
	c.NewCodes = digests
	return c, codes, err
}

// checkNotAdded returns ErrEnrolment if one of the factors already has the secret: the form was sent twice.
func (s *Service) checkNotAdded(ctx context.Context, factors []Factor, text string) error {
	for _, f := range factors {
		if f.Kind != KindTOTP {
			continue
		}
		stored, err := s.Vault.Open(ctx, f.Secret, secretPurpose(f))
		if err == nil && stored == text {
			return ErrEnrolment
		}
		if err != nil && !errors.Is(err, errForged) {
			return err
		}
	}
	return nil
}

// WithSecondFactor returns the authentication methods of a login by a password and other methods (RFC 8176).
func WithSecondFactor(methods ...string) []string {
	return slices.Concat([]string{grant.MethodPassword}, methods, []string{grant.MethodMultiFactor})
}

// secretPurpose is the purpose that the secret of a factor is sealed for: see Vault.
func secretPurpose(f Factor) string { return "secret of " + f.ID + " of " + f.UserID }

// Check returns the completion of a login by the code of an app or by a recovery code. The caller counts tries. It
// returns ErrIncorrect, ErrSealed, or an error of ctx or the store. Whether a recovery code is right, the store says at
// the end of the login.
func (s *Service) Check(ctx context.Context, t TypedCode) (Completion, error) {
	if t.Code == "" || len(t.Code) > maxTypedCode {
		return Completion{}, ErrIncorrect
	}
	if t.Recovery {
		return Completion{
			UsedCode: recoveryDigest(t.User.ID, t.Code), Methods: WithSecondFactor(grant.MethodOTP),
		}, nil
	}
	factors, err := s.Store.SecondFactors(ctx, t.User.ID)
	if err != nil {
		return Completion{}, err
	}
	for _, f := range factors {
		if f.Kind != KindTOTP {
			continue
		}
		text, err := s.Vault.Open(ctx, f.Secret, secretPurpose(f))
		if errors.Is(err, errForged) {
			err = ErrSealed
		}
		if err != nil {
			return Completion{}, err
		}
		if step, ok := totpStep(text, digitsOf(t.Code), s.Now(), f.LastStep); ok {
			f.LastStep, f.LastUsedAt = step, s.Now()
			return Completion{UsedFactor: &f, OldSecret: f.Secret, Methods: WithSecondFactor(grant.MethodOTP)}, nil
		}
	}
	return Completion{}, ErrIncorrect
}

// TypedCode is a code that somebody has typed in the second step of a login.
type TypedCode struct {
	// User is the user whose login it is.
	User account.User
	// Code is the text that was typed.
	Code string
	// Recovery says that it is a recovery code, and not the code of an app.
	Recovery bool
}

// Add adds the factor of a completion to a user who is logged in with a session, which it renews, and ends all other
// logins. The address is the client's IP address. The errors are those of Store.AddSecondFactor.
func (s *Service) Add(
	ctx context.Context,
	user account.User,
	c Completion,
	r account.Renewal,
	address string,
) error {
	err := s.Store.AddSecondFactor(ctx, user, c, r, s.Now())
	if err == nil {
		s.LogAdded(ctx, user, *c.NewFactor, address)
	}
	return err
}

// LogAdded logs a new factor of a user.
func (s *Service) LogAdded(ctx context.Context, user account.User, f Factor, address string) {
	s.log(ctx, "second_factor_added", user, address, "kind", f.Kind)
}

// Remove removes a factor of a user who is logged in with a session, which it renews, and ends all other logins. The
// address is the client's IP address. The errors are those of Store.RemoveSecondFactor.
func (s *Service) Remove(ctx context.Context, user account.User, id string, r account.Renewal, address string) error {
	err := s.Store.RemoveSecondFactor(ctx, user, id, r, s.Policy.Requires(user), s.Now())
	if err == nil {
		s.log(ctx, "second_factor_removed", user, address)
	}
	return err
}

// NewRecoveryCodes replaces the recovery codes of a user who is logged in with the session keep, and returns the new
// ones to show. The address is the client's IP address. The errors are those of Store.ReplaceRecoveryCodes.
func (s *Service) NewRecoveryCodes(ctx context.Context, user account.User, keep, address string) ([]string, error) {
	codes, digests, err := newRecoveryCodes(rand.Reader, user.ID)
	if err == nil {
		err = s.Store.ReplaceRecoveryCodes(ctx, user, keep, digests, s.Now())
	}
	if err != nil {
		return nil, err
	}
	s.log(ctx, "recovery_codes_replaced", user, address)
	return codes, nil
}

func (s *Service) log(ctx context.Context, event string, user account.User, address string, more ...any) {
	fields := append([]any{"event", event, "user", user.ID, "address", address}, more...)
	s.Log.InfoContext(ctx, "second factors changed", fields...)
}
