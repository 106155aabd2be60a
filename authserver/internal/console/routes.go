package console

import "net/http"

// Paths of the pages. What a page is about is a parameter of its address: a username, and more so the audience of an
// API, may have characters that do not survive in a path.
const (
	usersPath       = basePath + "/users"
	newUserPath     = usersPath + "/new"
	userPath        = basePath + "/user"
	groupsPath      = basePath + "/groups"
	invitationsPath = basePath + "/invitations"
	clientsPath     = basePath + "/clients"
	newClientPath   = clientsPath + "/new"
	clientPath      = basePath + "/client"
	apisPath        = basePath + "/apis"
	apiPath         = basePath + "/api"
	scopesPath      = basePath + "/scopes"
	keysPath        = basePath + "/keys"
	auditPath       = basePath + "/audit"
	webhooksPath    = basePath + "/webhooks"
	webhookPath     = basePath + "/webhook"
)

// route is a page.
type route struct {
	// show returns the page.
	show func(*visit) (page, error)
	// save does what the form of the page says, and returns the page to show then; nil if the page has no form.
	save func(*visit) (page, error)
}

// allow returns the methods of the page.
func (r route) allow() string {
	if r.save == nil {
		return http.MethodGet + ", " + http.MethodHead
	}
	return http.MethodGet + ", " + http.MethodHead + ", " + http.MethodPost
}

// newRoutes returns the pages by their paths.
func (c *Console) newRoutes() map[string]route {
	return map[string]route{
		basePath: {c.overview, nil},

		usersPath:                    {c.listUsers, nil},
		newUserPath:                  {c.showNewUser, c.addUser},
		userPath:                     {c.showUser, c.changeUser},
		userPath + "/disable":        confirm(c.disabling),
		userPath + "/enable":         confirm(c.enabling),
		userPath + "/unlock":         confirm(c.unlocking),
		userPath + "/delete":         confirm(c.deletingUser),
		userPath + "/logout":         confirm(c.loggingOut),
		userPath + "/second-factors": confirm(c.removingFactors),
		userPath + "/session":        confirm(c.endingSession),
		userPath + "/grant":          confirm(c.endingGrant),
		userPath + "/consent":        confirm(c.revokingConsent),
		userPath + "/password":       {c.showReset, c.resetPassword},

		groupsPath: {c.listGroups, nil},

		invitationsPath:               {c.listInvitations, c.invite},
		invitationsPath + "/withdraw": confirm(c.withdrawing),

		clientsPath:            {c.listClients, nil},
		newClientPath:          {c.showNewClient, c.registerClient},
		clientPath:             {c.showClient, c.changeClient},
		clientPath + "/secret": {c.showSecret, c.rotateSecret},
		clientPath + "/delete": confirm(c.deletingClient),

		apisPath:            {c.listAPIs, c.registerAPI},
		apiPath:             {c.showAPI, c.changeAPI},
		apiPath + "/delete": confirm(c.deletingAPI),

		scopesPath:             {c.listScopes, c.describeScope},
		scopesPath + "/forget": confirm(c.forgettingScope),

		keysPath:             {c.listKeys, nil},
		keysPath + "/rotate": {c.showRotate, c.rotateKey},

		auditPath:             {c.listAudit, nil},
		auditPath + "/record": {c.showRecord, nil},
		auditPath + "/export": {c.exportAudit, nil},

		webhooksPath:            {c.listWebhooks, c.addWebhook},
		webhookPath:             {c.showWebhook, nil},
		webhookPath + "/retry":  confirm(c.retrying),
		webhookPath + "/delete": confirm(c.deletingWebhook),
	}
}
