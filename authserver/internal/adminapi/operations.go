package adminapi

import (
	"net/http"
	"slices"
)

const (
	get, post, put, patch, remove = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete
)

// operations are all operations. To add one, add its line to a list below and its method in the file of its noun.
func (a *API) operations() []operation { return slices.Concat(a.userOperations(), a.otherOperations()) }

func (a *API) userOperations() []operation {
	const user = "/users/{username}"
	return []operation{
		{get, "/users", "List users", handle(a.ListUsers)},
		{post, "/users", "Create a user", handle(a.CreateUser, creates)},
		{get, user, "Show a user", handle(a.GetUser)},
		{patch, user, "Change a user", handle(a.ChangeUser)},
		{remove, user, "Delete a user", handle(a.DeleteUser)},
		{post, user + "/disable", "Disable a user", handle(a.DisableUser)},
		{post, user + "/enable", "Enable a user", handle(a.EnableUser)},
		{post, user + "/logout", "End all logins of a user", handle(a.LogOutUser)},
		{post, user + "/unlock", "Forget failed logins of a user", handle(a.UnlockUser)},
		{post, user + "/password", "Reset the password of a user", handle(a.ResetPassword)},
		{get, user + "/failures", "List failed logins of a user", handle(a.ListFailures)},
		{get, user + "/second-factors", "List second factors of a user", handle(a.ListSecondFactors)},
		{remove, user + "/second-factors", "Remove all second factors of a user", handle(a.RemoveSecondFactors)},
		{get, user + "/sessions", "List browser sessions of a user", handle(a.ListSessions)},
		{remove, user + "/sessions/{id}", "End a browser session of a user", handle(a.EndSession)},
		{get, user + "/grants", "List grants of a user", handle(a.ListGrants)},
		{remove, user + "/grants/{number}", "End a grant of a user", handle(a.EndGrant)},
		{get, user + "/consents", "List consents of a user", handle(a.ListConsents)},
		{remove, user + "/consents/{client_id}", "Revoke a consent of a user", handle(a.RevokeConsent)},
	}
}

func (a *API) otherOperations() []operation {
	const (
		oneClient = "/clients/{id}"
		oneAPI    = "/apis/{audience}"
	)
	return []operation{
		{get, "/clients", "List clients", handle(a.ListClients)},
		{post, "/clients", "Register a client", handle(a.RegisterClient, creates, shownOnce)},
		{get, oneClient, "Show a client", handle(a.GetClient)},
		{patch, oneClient, "Change a client", handle(a.ChangeClient)},
		{remove, oneClient, "Delete a client", handle(a.DeleteClient)},
		{get, oneClient + "/logins", "Count logins at a client", handle(a.CountClientLogins)},
		{post, oneClient + "/secret", "Rotate the secret of a client", handle(a.RotateSecret, shownOnce)},
		{remove, oneClient + "/old-secret", "End the old secret of a client", handle(a.EndOldSecret)},

		{get, "/apis", "List APIs", handle(a.ListAPIs)},
		{post, "/apis", "Register an API", handle(a.RegisterAPI, creates)},
		{get, oneAPI, "Show an API", handle(a.GetAPI)},
		{patch, oneAPI, "Change an API", handle(a.ChangeAPI)},
		{remove, oneAPI, "Delete an API", handle(a.DeleteAPI)},

		{get, "/scopes", "List descriptions of scopes", handle(a.ListScopes)},
		{put, "/scopes/{scope}", "Describe a scope", handle(a.DescribeScope)},
		{remove, "/scopes/{scope}", "Forget the description of a scope", handle(a.ForgetScope)},

		{get, "/keys", "List signing keys", handle(a.ListKeys)},
		{post, "/keys/rotate", "Rotate signing keys", handle(a.RotateKeys)},

		{get, "/groups", "List groups", handle(a.ListGroups)},

		{get, "/invitations", "List invitations", handle(a.ListInvitations)},
		{post, "/invitations", "Invite somebody", handle(a.Invite, creates)},
		{remove, "/invitations/{email}", "Withdraw an invitation", handle(a.WithdrawInvitation)},

		{get, "/audit", "List the audit log", handle(a.ListAudit)},
		{get, "/audit/export", "Export the audit log", handle(a.ExportAudit)},
		{get, "/audit/head", "Show the end of the chain", handle(a.GetAuditHead)},
		{get, "/audit/last-day", "Count the logins of the last day", handle(a.GetAuditDay)},
		{get, "/audit/{id}", "Show a record of the audit log", handle(a.GetAudit)},

		{get, "/webhooks", "List webhooks", handle(a.ListWebhooks)},
		{post, "/webhooks", "Add a webhook", handle(a.AddWebhook, creates)},
		{remove, "/webhooks/{id}", "Delete a webhook", handle(a.DeleteWebhook)},
		{get, "/webhooks/{id}/dead", "List dead deliveries of a webhook", handle(a.ListDead)},
		{post, "/webhooks/{id}/retry", "Make dead deliveries of a webhook again", handle(a.Retry)},
	}
}

// None is the response of an operation that has nothing to tell: 204.
type None struct{}
