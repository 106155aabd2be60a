package adminapi

import "net/http"

// operations are all operations. To add one, add its line here and its method in the file of its noun.
func (a *API) operations() []operation {
	const (
		get, post, patch, remove = http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete

		user = "/users/{username}"
	)
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
		{get, user + "/logins", "Count logins of a user", handle(a.CountLogins)},
		{get, user + "/grants", "List grants of a user", handle(a.ListGrants)},
		{remove, user + "/grants/{number}", "End a grant of a user", handle(a.EndGrant)},
		{get, user + "/consents", "List consents of a user", handle(a.ListConsents)},
		{remove, user + "/consents/{client_id}", "Revoke a consent of a user", handle(a.RevokeConsent)},

		{get, "/groups", "List groups", handle(a.ListGroups)},

		{get, "/invitations", "List invitations", handle(a.ListInvitations)},
		{post, "/invitations", "Invite somebody", handle(a.Invite, creates)},
		{remove, "/invitations/{email}", "Withdraw an invitation", handle(a.WithdrawInvitation)},
	}
}

// None is the response of an operation that has nothing to tell: 204.
type None struct{}
