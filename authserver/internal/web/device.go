package web

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
)

// deviceLoginPath is where the login form of the device page goes.
const deviceLoginPath = issuing.DevicePath + "/login"

// maxUserCode bounds a user code as it is typed, in bytes.
const maxUserCode = 64

// authorizeDevice serves POST /device_authorization (RFC 8628 section 3.1).
func (e *endpoints) authorizeDevice(w http.ResponseWriter, r *http.Request) (any, error) {
	form, err := readForm(w, r, urlencodedOnly)
	if err != nil {
		return nil, err
	}
	c, err := e.auth.authenticate(r, form)
	if err != nil {
		return nil, err
	}
	if !c.Allows(oauth.GrantDeviceCode) {
		return nil, oauth.ErrUnauthorizedClient.Describe("this client may not use the grant type " +
			string(oauth.GrantDeviceCode))
	}
	return e.cfg.Tokens.AuthorizeDevice(r.Context(), issuing.Request{
		Client: c, Form: form, Address: httpserver.Host(r.RemoteAddr),
	})
}

// device serves GET /device (RFC 8628 section 3.3): login, then the code, then the question. A code
// in the query, from a QR code, is shown for the user to compare (section 3.3.1). A code in a link of another
// site is not looked up until the user sends the form: wrong codes are counted against the user.
func (e *endpoints) device(w http.ResponseWriter, r *http.Request) error {
	query, err := readPageQuery(r.URL.RawQuery, say("Open the page and type the code."))
	if err != nil {
		return err
	}
	typed := query.Get("user_code")
	s, err := e.session(r)
	switch {
	case err != nil:
		return err
	case s.digest == "" || query.Get("prompt") == "login":
		e.showDeviceLogin(w, r, http.StatusOK, page{Continue: typed})
		return nil
	case typed == "":
		e.showDeviceForm(w, r, http.StatusOK, s, page{})
		return nil
	}
	if fromOtherSite(r) {
		e.showDeviceForm(w, r, http.StatusOK, s, page{UserCode: typed[:min(len(typed), maxUserCode)]})
		return nil
	}
	code, d, err := e.waitingDevice(r, s, typed)
	if err != nil {
		return e.failDevice(w, r, s, typed, err)
	}
	if e.needsLoginFor(s, d) {
		e.showDeviceLogin(w, r, http.StatusOK, page{
			Username: s.user.Username, Continue: code, NeedsFactor: e.deviceNeedsFactor(d),
		})
		return nil
	}
	return e.showDevice(w, r, s, code, d)
}

// fromOtherSite reports whether another site, or another origin of this one, has sent the browser here. A scanned
// code and a typed address are "none". Browsers that do not say are trusted.
func fromOtherSite(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site == "cross-site" || site == "same-site"
}

// errMalformedUserCode says that what was typed cannot be a user code. It does not count as a guess.
var errMalformedUserCode = errors.New("malformed user code")

// waitingDevice returns the user code that was typed, and the device that waits under it.
func (e *endpoints) waitingDevice(r *http.Request, s session, typed string) (string, issuing.Device, error) {
	code, ok := "", false
	if len(typed) <= maxUserCode {
		code, ok = grant.ParseUserCode(typed)
	}
	if !ok {
		return "", issuing.Device{}, errMalformedUserCode
	}
	d, err := e.cfg.Tokens.WaitingDevice(r.Context(), issuing.UserCode{
		Code: code, User: s.user, Address: httpserver.Host(r.RemoteAddr),
	})
	return grant.ShownUserCode(code), d, err
}

// failDevice writes the form for the code with the error, if the user can do something about it.
func (e *endpoints) failDevice(w http.ResponseWriter, r *http.Request, s session, typed string, err error) error {
	f := deviceFailureOf(err)
	if f.unexpected || f.userText == nil {
		return err
	}
	f.setRetryAfter(w)
	e.showDeviceForm(w, r, f.status, s, page{UserCode: typed[:min(len(typed), maxUserCode)], Error: f.userText})
	return &handledError{f.code}
}

// showDeviceForm writes the page where the user types the code.
func (e *endpoints) showDeviceForm(w http.ResponseWriter, r *http.Request, status int, s session, p page) {
	p.Title, p.User = say("Connect a device"), s.user.Name
	e.render(w, r, status, "devicecode", p)
}

// showDevice writes the page that asks the user to allow or deny the device. It asks each time: anybody
// can send a user a code, and a device cannot prove which program it runs (RFC 8628 sections 5.4 and 5.6).
func (e *endpoints) showDevice(w http.ResponseWriter, r *http.Request, s session, code string, d issuing.Device) error {
	scopes, err := e.describeScopes(r.Context(), d.Scope)
	if err != nil {
		return err
	}
	e.render(w, r, http.StatusOK, "device", page{
		Title:  say("Connect this device?"),
		Client: d.Client.Name, API: d.API.Name, Scopes: scopes, UserCode: code,
		User: s.user.Name, UserID: s.user.ID, LoginAgain: devicePage(code) + "&prompt=login",
	})
	return nil
}

// devicePage returns the address of the page for a code, which may be empty.
func devicePage(code string) string {
	return issuing.DevicePath + "?" + url.Values{"user_code": {code}}.Encode()
}

// decideDevice serves POST /device, the form of the question. If the browser's session has ended or
// belongs to another user by now, it starts again.
func (e *endpoints) decideDevice(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r, urlencodedOnly)
	if err != nil {
		return badForm(say("Open this page again."))
	}
	typed, decision := form.Get("user_code"), form.Get("decision")
	s, err := e.session(r)
	if err != nil {
		return err
	}
	if s.digest == "" || s.user.ID != form.Get("user") || (decision != "allow" && decision != "deny") {
		redirect(w, devicePage(typed[:min(len(typed), maxUserCode)]))
		return nil
	}
	if err := e.countForm(s); err != nil {
		return err
	}
	_, d, err := e.waitingDevice(r, s, typed)
	if err == nil && e.needsLoginFor(s, d) { // this page is older than that
		redirect(w, devicePage(typed))
		return nil
	}
	if err == nil && decision == "allow" {
		err = e.cfg.Tokens.ApproveDevice(r.Context(), d, s.user, s.digest, s.login)
	} else if err == nil {
		err = e.cfg.Tokens.DenyDevice(r.Context(), d, s.user)
	}
	switch {
	case errors.Is(err, grant.ErrInactive), errors.Is(err, grant.ErrClientChanged): // the page says what there is now
		redirect(w, devicePage(typed))
		return nil
	case err != nil:
		return e.failDevice(w, r, s, typed, err)
	case decision == "deny":
		e.message(w, r, http.StatusOK, say("Device denied"),
			say("{app} on the device gets no access to your account.", d.Client.Name), say("You can close this page."))
	default:
		e.message(w, r, http.StatusOK, say("Device connected"),
			say("{app} on your device will be logged in within a few seconds.", d.Client.Name),
			say("You can close this page and go back to the device."))
	}
	return nil
}

// showDeviceLogin writes the login page for the device page.
func (e *endpoints) showDeviceLogin(w http.ResponseWriter, r *http.Request, status int, p page) {
	e.offerPasskey(w, r, &p)
	p.Title, p.Device, p.Recovers, p.SignUp = say("Log in"), true, e.cfg.Recovery != nil, e.signUpLink("")
	e.render(w, r, status, "login", p)
}

// deviceLogin serves POST /device/login, the form of the login page. It has the code to continue with.
func (e *endpoints) deviceLogin(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r, urlencodedOnly)
	if err != nil {
		return badForm(say("Open the page shown on your device again."))
	}
	code := form.Get("continue")
	code = code[:min(len(code), maxUserCode)]
	first, err := e.checkFirst(r, "", oauth.GrantDeviceCode, form)
	next := ""
	if err == nil {
		first.continueAt, first.needsFactor = devicePage(code), form.Has("second_factor")
		next, err = e.afterPassword(w, r, first)
	}
	if err == nil {
		redirect(w, next)
		return nil
	}
	f := failureOf(err)
	if f.unexpected || f.userText == nil {
		return err
	}
	f.setRetryAfter(w)
	e.showDeviceLogin(w, r, f.status, page{
		Username: form.Get("username"), Error: f.userText, Continue: code, NeedsFactor: form.Has("second_factor"),
		Wrong: wrongInLogin(form),
	})
	return &handledError{f.code}
}
