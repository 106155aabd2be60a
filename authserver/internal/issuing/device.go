package issuing

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/ratelimit"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// userCodeTries is how many user codes are made until one is not in use.
const userCodeTries = 5

// Responses to a poll that gives no tokens (RFC 8628 section 3.5).
var (
	errPending = &oauth.Error{
		Code: oauth.CodeAuthorizationPending, Description: "the user has not decided yet",
	}
	errSlowDown = &oauth.Error{
		Code: oauth.CodeSlowDown, Description: "wait 5 seconds longer between polls from now on",
	}
	errDeviceExpired = &oauth.Error{
		Code: oauth.CodeExpiredToken, Description: "the device code has expired: ask for a new one",
	}
	errDeviceDenied = &oauth.Error{Code: oauth.CodeAccessDenied, Description: "the user did not allow it"}
)

// DevicePath is the path of the page where users approve devices.
const DevicePath = "/device"

// AuthorizeDevice starts a device authorization (RFC 8628 section 3.1) and returns the codes for the
// device. The client is authenticated and may use the grant type. The error is an *oauth.Error if the
// client can be told what is wrong, grant.ErrTooManyDevices, or one of the store.
func (s *Service) AuthorizeDevice(ctx context.Context, r Request) (oauth.DeviceAuthorization, error) {
	api, err := s.Target(ctx, r.Form.Get("resource"))
	if err != nil {
		return oauth.DeviceAuthorization{}, err
	}
	requested, err := oauth.ParseScope(r.Form.Get("scope"))
	if err != nil {
		return oauth.DeviceAuthorization{}, err
	}
	if err := s.CheckAdminClient(api, r.Client, oauth.GrantDeviceCode); err != nil {
		return oauth.DeviceAuthorization{}, err
	}
	scope, err := s.UserScope(r.Client, api, requested)
	if err != nil {
		return oauth.DeviceAuthorization{}, err
	}
	now := s.cfg.Now()
	device, user, err := s.createDevice(ctx, grant.DeviceCode{
		ClientID:  r.Client.ID,
		Audience:  api.Audience,
		Scope:     scope,
		Network:   secret.Digest(ratelimit.SiteNetwork(r.Address)),
		CreatedAt: now,
		ExpiresAt: now.Add(grant.DeviceLifetime),
	})
	switch {
	case errors.Is(err, record.ErrNotFound): // the API was deleted since it was looked up
		return oauth.DeviceAuthorization{}, ErrTarget
	case errors.Is(err, grant.ErrClientChanged):
		return oauth.DeviceAuthorization{}, errNoClient
	case err != nil:
		return oauth.DeviceAuthorization{}, err
	}
	page, shown := s.cfg.Issuer+DevicePath, grant.ShownUserCode(user)
	return oauth.DeviceAuthorization{
		DeviceCode:              device,
		UserCode:                shown,
		VerificationURI:         page,
		VerificationURIComplete: page + "?user_code=" + shown,
		ExpiresIn:               int64(grant.DeviceLifetime / time.Second),
		Interval:                int64(grant.DeviceInterval / time.Second),
	}, nil
}

// createDevice stores d under a new device code and a new user code, and returns both.
func (s *Service) createDevice(ctx context.Context, d grant.DeviceCode) (device, user string, err error) {
	for range userCodeTries {
		if device, err = grant.NewDeviceCode(s.cfg.Random); err != nil {
			return "", "", err
		}
		if user, err = grant.NewUserCode(s.cfg.Random); err != nil {
			return "", "", err
		}
		d.Digest, d.UserCode = secret.Digest(device), secret.Digest(user)
		if err = s.cfg.Store.CreateDevice(ctx, d); !errors.Is(err, record.ErrExists) {
			return device, user, err
		}
	}
	return "", "", err
}

// Device is a device that waits for its user.
type Device struct {
	// Client is the client that the device runs.
	Client client.Client
	// API is the API that it wants to use, Scope what it wants to do there.
	API   resource.API
	Scope oauth.Scope

	code grant.DeviceCode
}

// UserCode is a user code that a user has typed or scanned, in a session of a browser.
type UserCode struct {
	// Code is as grant.ParseUserCode returns it.
	Code string
	// User is the user who is logged in.
	User account.User
	// Address is the IP address of the browser.
	Address string
}

// WaitingDevice returns the device that waits under a user code. It returns grant.ErrCodeUnknown if there is
// none, or nothing is left of what it may ask for. Wrong codes are counted like failed logins, for the user at
// the address and for the user at all addresses (RFC 8628 section 5.1): after too many of them, the error is
// an *account.ThrottledError.
func (s *Service) WaitingDevice(ctx context.Context, u UserCode) (Device, error) {
	now := s.cfg.Now()
	tries := account.NewUserCodeKey(u.User.ID, u.Address)
	counted, err := s.cfg.Store.ReserveTry(ctx, tries, now)
	if err == nil && !counted {
		err = s.throttled(ctx, tries)
	}
	if err != nil {
		return Device{}, err
	}
	code, err := s.cfg.Store.DeviceByUserCode(ctx, secret.Digest(u.Code), now)
	if errors.Is(err, grant.ErrCodeUnknown) {
		s.cfg.Log.WarnContext(ctx, "unknown user code", "event", "user_code_unknown",
			"user", u.User.ID, "address", u.Address)
		return Device{}, err
	}
	// The code was right, or is not known to be wrong. Only this try is given back, also if the request has ended: a
	// guesser can have valid codes of their own.
	if err := errors.Join(err, s.cfg.Store.GiveBackTry(context.WithoutCancel(ctx), tries)); err != nil {
		return Device{}, err
	}
	d, err := s.describe(ctx, code)
	if err == nil && s.checkAdmin(d.API, d.Client, u.User, oauth.GrantDeviceCode) != nil {
		return Device{}, grant.ErrCodeUnknown
	}
	return d, err
}

// throttled returns the error for a try that was not counted because there were too many.
func (s *Service) throttled(ctx context.Context, tries account.FailureKey) error {
	failures, err := s.cfg.Store.LoginFailures(ctx, tries, s.cfg.Now())
	if err != nil {
		return err
	}
	return &account.ThrottledError{Wait: max(failures.Wait(s.cfg.Now()), time.Second)}
}

// describe returns the device of a code, with what its client may still have of the scope.
func (s *Service) describe(ctx context.Context, code grant.DeviceCode) (Device, error) {
	c, err := s.cfg.Store.ClientByID(ctx, code.ClientID)
	if errors.Is(err, record.ErrNotFound) || (err == nil && !c.Allows(oauth.GrantDeviceCode)) {
		return Device{}, grant.ErrCodeUnknown
	}
	if err != nil {
		return Device{}, err
	}
	api, err := s.sameTarget(ctx, "", code.Audience)
	var scope oauth.Scope
	if err == nil {
		scope, err = remainingScope(c, api, code.Scope)
	}
	var protocol *oauth.Error
	if errors.As(err, &protocol) {
		return Device{}, grant.ErrCodeUnknown
	}
	return Device{Client: c, API: api, Scope: scope, code: code}, err
}

// ApproveDevice gives a device what it asked for, for the user of a browser session whose digest is
// session. It returns grant.ErrCodeUnknown if the device waits no longer, grant.ErrInactive if the
// session has ended or the user is not active, and grant.ErrClientChanged if the client is deleted or has
// another secret.
//
// The grant belongs to no browser session, so that it outlives this one. It starts now, not when the device
// fetches its tokens: what revokes the user's or the client's grants ends it at any time. Its ID tokens say how
// the user had logged in to approve, and name no session.
func (s *Service) ApproveDevice(
	ctx context.Context,
	d Device,
	user account.User,
	session string,
	login grant.Authentication,
) error {
	g := grant.Grant{
		Type:         oauth.GrantDeviceCode,
		ClientID:     d.Client.ID,
		SecretDigest: d.Client.SecretDigest,
		UserID:       user.ID,
		Audience:     d.API.Audience,
		Scope:        d.Scope,
		CreatedAt:    s.cfg.Now(),
		ExpiresAt:    d.code.ExpiresAt, // until the device fetches its tokens

		Authentication: grant.Authentication{At: login.At, Methods: login.Methods},
	}
	err := s.cfg.Store.ApproveDevice(ctx, d.code.UserCode, session, g)
	if err == nil {
		s.cfg.Log.InfoContext(ctx, "device approved", "event", "device_approved", "user", user.ID,
			"client", d.Client.ID, "api", d.API.Audience, "scope", d.Scope.String())
	}
	return err
}

// DenyDevice refuses a device for a user. It returns grant.ErrCodeUnknown if the device waits no longer.
func (s *Service) DenyDevice(ctx context.Context, d Device, user account.User) error {
	err := s.cfg.Store.DenyDevice(ctx, d.code.UserCode, user.ID, d.Client.ID, s.cfg.Now())
	if err == nil {
		s.cfg.Log.InfoContext(ctx, "device denied", "event", "device_denied", "user", user.ID, "client", d.Client.ID)
	}
	return err
}

// deviceCode runs the device code grant (RFC 8628 section 3.4): one poll of a device.
func (s *Service) deviceCode(ctx context.Context, r Request) (oauth.TokenResponse, error) {
	now := s.cfg.Now()
	code, err := s.cfg.Store.DeviceByDigest(ctx, secret.Digest(r.Form.Get("device_code")))
	switch {
	case err != nil:
		return oauth.TokenResponse{}, err
	case code.ClientID != r.Client.ID:
		return oauth.TokenResponse{}, errNotValid
	case code.Grant != 0 && (code.Redeemed || now.Before(code.ExpiresAt)):
		return s.redeemDevice(ctx, r, code)
	case !now.Before(code.ExpiresAt):
		return oauth.TokenResponse{}, errDeviceExpired
	case code.Denied():
		return oauth.TokenResponse{}, errDeviceDenied
	}
	inTime, err := s.cfg.Store.PollDevice(ctx, code.Digest, now)
	if err == nil && !inTime {
		err = errSlowDown
	}
	return oauth.TokenResponse{}, cmp.Or(err, error(errPending))
}

// redeemDevice returns the first tokens of the grant of an approved device code. What the client or the API
// has lost of the scope since the user allowed it is left out.
func (s *Service) redeemDevice(ctx context.Context, r Request, code grant.DeviceCode) (oauth.TokenResponse, error) {
	approved, err := s.cfg.Store.GrantByNumber(ctx, code.Grant)
	if errors.Is(err, record.ErrNotFound) {
		return oauth.TokenResponse{}, errNotValid
	}
	if err != nil {
		return oauth.TokenResponse{}, err
	}
	user, err := s.activeUser(ctx, approved.UserID)
	if err != nil {
		return oauth.TokenResponse{}, err
	}
	api, err := s.sameTarget(ctx, r.Form.Get("resource"), approved.Audience)
	if err != nil {
		return oauth.TokenResponse{}, err
	}
	scope, err := remainingScope(r.Client, api, approved.Scope)
	if err != nil {
		return oauth.TokenResponse{}, err
	}
	g := grant.Grant{
		Type: oauth.GrantDeviceCode, Audience: approved.Audience, Scope: scope, Authentication: approved.Authentication,
	}
	response, err := s.startByCode(ctx, r, api, user, g, redeemable{
		redeem: func(ctx context.Context, g grant.Grant) (int64, error) {
			return s.cfg.Store.RedeemDevice(ctx, code.Digest, g)
		},
		confirm: func(ctx context.Context, attempt string) error {
			return s.cfg.Store.ConfirmDevice(ctx, code.Digest, attempt)
		},
		takeBack: func(ctx context.Context, attempt string) error {
			return s.cfg.Store.TakeBackDevice(ctx, code.Digest, attempt)
		},
	})
	if err != nil {
		return oauth.TokenResponse{}, err
	}
	return s.withIDToken(response, idToken{client: r.Client, user: user, scope: scope, login: approved.Authentication})
}
