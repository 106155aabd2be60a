package web

import (
	"net/http"
	"slices"

	"github.com/hallpass-auth/hallpass/shared/statuslist"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
)

// methods are the handlers of one path by method.
type methods map[string]http.Handler

// route is a path with its methods.
type route struct {
	path    string
	page    bool     // a page for people: forms are accepted from our own pages only
	origins []string // of other pages whose scripts may call it
	methods methods
}

// everybody lets scripts of every origin call a route.
var everybody = []string{"*"}

// routes returns all routes but those of the admin API and the console, which have lists of their own.
func (e *endpoints) routes() []route {
	routes := slices.Concat(e.apiRoutes(), e.pageRoutes(), e.secondStepRoutes(), e.accountRoutes(),
		e.accountFactorRoutes())
	if e.cfg.AdminAPI != nil {
		routes = append(routes, e.enrolRoutes()...)
	}
	if e.cfg.Registration.On() {
		routes = append(routes, e.registrationRoutes()...)
	}
	if e.cfg.Recovery != nil {
		routes = append(routes, e.recoveryRoutes()...)
	}
	if e.cfg.Emails != nil {
		routes = slices.Concat(routes, e.emailRoutes(), e.accountEmailRoutes())
	}
	if e.cfg.SignUp != nil {
		routes = append(routes, e.signUpRoutes()...)
	}
	if len(e.theme.Logo.Content) > 0 {
		routes = append(routes, route{path: logoPath, page: true, methods: methods{"GET": http.HandlerFunc(e.logo)}})
	}
	return routes
}

// apiRoutes returns the routes of programs. Scripts of the allowed origins may call most of them.
func (e *endpoints) apiRoutes() []route {
	apps := e.cfg.AllowedOrigins
	metadata := methods{"GET": e.endpoint("metadata", e.metadata)}
	list := methods{"GET": http.HandlerFunc(e.statusList)}
	return []route{
		{path: "/token", origins: apps, methods: methods{"POST": e.endpoint("token", e.token)}},
		{path: "/device_authorization", origins: apps, methods: methods{
			"POST": e.endpoint("device_authorization", e.authorizeDevice),
		}},
		{path: "/par", origins: apps, methods: methods{"POST": e.endpointWithStatus("par", http.StatusCreated, e.push)}},
		{path: "/revoke", origins: apps, methods: methods{"POST": e.endpoint("revoke", e.revoke)}},
		{path: "/introspect", methods: methods{"POST": e.endpoint("introspect", e.introspect)}},
		{path: "/userinfo", origins: apps, methods: methods{
			"GET":  http.HandlerFunc(e.userinfo),
			"POST": http.HandlerFunc(e.userinfo),
		}},
		{path: "/.well-known/oauth-authorization-server", origins: everybody, methods: metadata},
		// The same document for the many clients that look nowhere else (RFC 8414 section 5).
		{path: "/.well-known/openid-configuration", origins: everybody, methods: metadata},
		{path: "/jwks.json", origins: everybody, methods: methods{"GET": e.endpoint("jwks", e.jwks)}},
		{path: statuslist.Path, origins: everybody, methods: methods{"GET": e.endpoint("status_lists", e.statusLists)}},
		{path: statuslist.Path + "/{list}", origins: everybody, methods: list},
		{path: statuslist.Path + "/{list}/{api}", origins: everybody, methods: list},
		{path: statuslist.Path + "/{epoch}/{list}/{api}", origins: everybody, methods: list},
	}
}

// registrationRoutes returns the endpoints of registration.
func (e *endpoints) registrationRoutes() []route {
	one := registrationPath + "/{client}"
	return []route{
		{path: registrationPath, origins: e.cfg.AllowedOrigins, methods: methods{
			"POST": e.registration("register", e.register),
		}},
		{path: one, origins: e.cfg.AllowedOrigins, methods: methods{
			"GET":    e.registration("registered_client", e.showRegistered),
			"PUT":    e.registration("registered_client", e.replaceRegistered),
			"DELETE": e.registration("registered_client", e.deleteRegistered),
		}},
	}
}

// pageRoutes returns the routes of pages.
func (e *endpoints) pageRoutes() []route {
	return []route{
		{path: "/", page: true, methods: methods{"GET": e.pageHandler("home", e.home)}},
		{path: authorizePath, page: true, methods: methods{
			"GET":  e.pageHandler("authorize", e.authorize),
			"POST": e.pageHandler("authorize", e.authorizeByPost),
		}},
		{path: "/login", page: true, methods: methods{"POST": e.pageHandler("login", e.login)}},
		{path: "/consent", page: true, methods: methods{"POST": e.pageHandler("consent", e.consent)}},
		{path: issuing.DevicePath, page: true, methods: methods{
			"GET":  e.pageHandler("device", e.device),
			"POST": e.pageHandler("device", e.decideDevice),
		}},
		{path: deviceLoginPath, page: true, methods: methods{"POST": e.pageHandler("device_login", e.deviceLogin)}},
		{path: "/logout", page: true, methods: methods{
			"GET":  e.pageHandler("logout", e.showLogout),
			"POST": e.pageHandler("logout", e.logout),
		}},
		{path: endSessionPath, page: true, methods: methods{
			"GET":  e.pageHandler("end_session", e.endSession),
			"POST": e.pageHandler("end_session", e.endSessionByPost),
		}},
		{path: confirmEndSessionPath, page: true, methods: methods{
			"POST": e.pageHandler("end_session", e.confirmEndSession),
		}},
		{path: "/style.css", page: true, methods: methods{"GET": http.HandlerFunc(e.style)}},
		{path: "/passkey.js", page: true, methods: methods{"GET": http.HandlerFunc(e.passkeyScript)}},
	}
}

// secondStepRoutes returns the routes of the second step of a login.
func (e *endpoints) secondStepRoutes() []route {
	get := func(show func(http.ResponseWriter, *http.Request, secondStep) error) http.Handler {
		return e.pageHandler("second_step", e.withSecondStep(show))
	}
	post := func(f secondStepForm) http.Handler { return e.pageHandler("second_step", e.serveSecondStep(f)) }
	return []route{
		{path: secondStepPath, page: true, methods: methods{"GET": get(e.chooseSecondStep)}},
		{path: codePath, page: true, methods: methods{
			"GET":  get(e.showCode),
			"POST": post(e.codeForm(codePath)),
		}},
		{path: passkeyPath, page: true, methods: methods{
			"GET":  get(e.showPasskey),
			"POST": post(e.passkeyForm()),
		}},
		{path: recoveryCodePath, page: true, methods: methods{
			"GET":  get(e.showRecoveryCode),
			"POST": post(e.codeForm(recoveryCodePath)),
		}},
		{path: firstAppPath, page: true, methods: methods{
			"GET":  get(e.showFirstApp),
			"POST": post(e.firstAppForm()),
		}},
		{path: firstPasskeyPath, page: true, methods: methods{
			"GET":  get(e.showFirstPasskey),
			"POST": post(e.firstPasskeyForm()),
		}},
	}
}

// recoveryRoutes returns the routes of the pages for a forgotten password.
func (e *endpoints) recoveryRoutes() []route {
	return []route{
		{path: mail.ForgotPath, page: true, methods: methods{
			"GET":  e.pageHandler("forgot", e.showForgot),
			"POST": e.pageHandler("forgot", e.forgot),
		}},
		{path: mail.ResetPath, page: true, methods: methods{
			"GET":  e.pageHandler("reset", e.showReset),
			"POST": e.pageHandler("reset", e.reset),
		}},
	}
}

// signUpRoutes returns the routes of the pages for making an account.
func (e *endpoints) signUpRoutes() []route {
	return []route{
		{path: signUpPath, page: true, methods: methods{
			"GET":  e.pageHandler("sign_up", e.showSignUp),
			"POST": e.pageHandler("sign_up", e.signUp),
		}},
		{path: mail.SignUpPath, page: true, methods: methods{
			"GET":  e.pageHandler("sign_up_account", e.showSignUpAccount),
			"POST": e.pageHandler("sign_up_account", e.signUpAccount),
		}},
	}
}

// enrolRoutes returns the routes of the page of an account.EnrolLink.
func (e *endpoints) enrolRoutes() []route {
	return []route{{path: account.EnrolPath, page: true, methods: methods{
		"GET":  e.pageHandler("enrol", e.showEnrol),
		"POST": e.pageHandler("enrol", e.enrol),
	}}}
}

// emailRoutes returns the routes of the page for confirming an email address.
func (e *endpoints) emailRoutes() []route {
	return []route{
		{path: mail.EmailPath, page: true, methods: methods{
			"GET":  e.pageHandler("email", e.showEmail),
			"POST": e.pageHandler("email", e.confirmEmail),
		}},
	}
}

// accountRoutes returns the routes of the pages of a user's account.
func (e *endpoints) accountRoutes() []route {
	get := func(path string, show func(http.ResponseWriter, *http.Request, session) error) http.Handler {
		return e.pageHandler("account", e.withLogin(path, show))
	}
	post := func(back string, serve accountForm) http.Handler {
		return e.pageHandler("account", e.withForm(back, serve))
	}
	return []route{
		{path: accountPath, page: true, methods: methods{"GET": get(accountPath, e.showAccount)}},
		{path: accountLoginPath, page: true, methods: methods{"POST": e.pageHandler("account_login", e.accountLogin)}},
		{path: accountNamePath, page: true, methods: methods{
			"GET": get(accountNamePath, e.showName), "POST": post(accountNamePath, e.changeName),
		}},
		{path: accountPasswordPath, page: true, methods: methods{
			"GET": get(accountPasswordPath, e.showPassword), "POST": post(accountPasswordPath, e.changePassword),
		}},
		{path: accountLoginsPath, page: true, methods: methods{"POST": post(accountPath, e.endLogin)}},
		{path: accountAppsPath, page: true, methods: methods{"POST": post(accountPath, e.endApp)}},
		{path: accountDataPath, page: true, methods: methods{
			"GET": get(accountDataPath, e.showData), "POST": post(accountDataPath, e.copyData),
		}},
		{path: accountDeletePath, page: true, methods: methods{
			"GET": get(accountDeletePath, e.showDelete), "POST": post(accountDeletePath, e.deleteAccount),
		}},
		{path: accountDeletedPath, page: true, methods: methods{"GET": e.pageHandler("account", e.accountDeleted)}},
	}
}

// accountEmailRoutes returns the routes of the pages about the user's email address.
func (e *endpoints) accountEmailRoutes() []route {
	get := e.pageHandler("account", e.withLogin(accountEmailPath, e.showNewEmail))
	post := e.pageHandler("account", e.withForm(accountEmailPath, e.changeEmail))
	verify := e.pageHandler("account", e.withForm(accountPath, e.verifyEmail))
	return []route{
		{path: accountEmailPath, page: true, methods: methods{"GET": get, "POST": post}},
		{path: accountVerifyPath, page: true, methods: methods{"POST": verify}},
	}
}

// accountFactorRoutes returns the routes of the pages about the user's second factors.
func (e *endpoints) accountFactorRoutes() []route {
	get := func(path string, show func(http.ResponseWriter, *http.Request, session) error) http.Handler {
		return e.pageHandler("account", e.withLogin(path, e.confirmed(path, show)))
	}
	add := func(path string, show func(http.ResponseWriter, *http.Request, session) error) http.Handler {
		return get(path, func(w http.ResponseWriter, r *http.Request, s session) error {
			if err := e.checkAnotherFactor(r, s); err != nil {
				return err
			}
			return show(w, r, s)
		})
	}
	post := func(serve accountForm) http.Handler {
		return e.pageHandler("account", e.withForm(accountFactorsPath, e.confirmedForm(serve)))
	}
	return []route{
		{path: accountFactorsPath, page: true, methods: methods{"GET": get(accountFactorsPath, e.showFactors)}},
		{path: accountNewAppPath, page: true, methods: methods{
			"GET": add(accountNewAppPath, e.showNewApp), "POST": post(e.mayAddFactor(e.addApp)),
		}},
		{path: accountNewPasskeyPath, page: true, methods: methods{
			"GET": add(accountNewPasskeyPath, e.showNewPasskey), "POST": post(e.mayAddFactor(e.addPasskey)),
		}},
		{path: accountRemovePath, page: true, methods: methods{"POST": post(e.removeFactor)}},
		{path: accountCodesPath, page: true, methods: methods{"POST": post(e.newRecoveryCodes)}},
	}
}
