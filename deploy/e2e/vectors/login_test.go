package vectors_test

import "testing"

// loginCases returns tokens at routes that ask for a login with more factors, or for a recent one (RFC 9470).
func loginCases(t *testing.T) []testCase {
	t.Helper()
	twoFactors, fiveMinutes := &login{ACRValues: []string{"2"}}, &login{MaxAge: 300}
	either, both := &login{ACRValues: []string{"phr", "2"}}, &login{ACRValues: []string{"2"}, MaxAge: 300}
	accepted := func(name string, needed *login, acr string, authTime int64) testCase {
		c := ok(name, "published", accessToken(t, "ed", nil, object{"acr": acr, "auth_time": authTime}),
			usual(func(c *claims) { c.ACR, c.AuthTime = acr, authTime }))
		c.Login = needed
		return c
	}
	no := func(name string, needed *login, changed object) testCase {
		c := refused(name, "insufficient_login", "published", accessToken(t, "ed", nil, changed))
		c.Login = needed
		return c
	}
	with := func(c testCase, change func(*testCase)) testCase { change(&c); return c }
	describesLogin := ok("token that says how its user has logged in", "published",
		accessToken(t, "ed", nil, object{"acr": "2", "amr": []string{"pwd", "otp", "mfa"}, "auth_time": now - 60 + 0.75}),
		usual(func(c *claims) { c.ACR, c.Methods, c.AuthTime = "2", []string{"pwd", "otp", "mfa"}, now-60 }))
	return []testCase{
		describesLogin,
		accepted("login with two factors", twoFactors, "2", now-3600),
		accepted("login of the second class that is listed", either, "2", now-3600),
		accepted("login 300 seconds ago", fiveMinutes, "1", now-300),
		accepted("login in 5 seconds", fiveMinutes, "1", now+5),
		accepted("login with two factors, 300 seconds ago", both, "2", now-300),
		with(ok("any login of a user", "published", accessToken(t, "ed", nil, nil), usual(nil)),
			func(c *testCase) { c.Login = &login{} }),

		no("login with one factor, where two are needed", twoFactors, object{"acr": "1", "auth_time": now}),
		no("login of no class that is listed", either, object{"acr": "1", "auth_time": now}),
		no("acr that the needed one begins with", &login{ACRValues: []string{"22"}}, object{"acr": "2"}),
		no("acr that names two classes", twoFactors, object{"acr": "1 2"}),
		no("no acr", twoFactors, object{"auth_time": now}),
		no("empty acr", twoFactors, object{"acr": "", "auth_time": now}),
		no("login 301 seconds ago", fiveMinutes, object{"acr": "2", "auth_time": now - 301}),
		no("login in 6 seconds", fiveMinutes, object{"acr": "2", "auth_time": now + 6}),
		no("login in 1970", fiveMinutes, object{"acr": "2", "auth_time": 0}),
		no("no auth_time", fiveMinutes, object{"acr": "2"}),
		no("recent login with one factor, where two are needed", both, object{"acr": "1", "auth_time": now}),
		no("old login with two factors, where a recent one is needed", both, object{"acr": "2", "auth_time": now - 3600}),
		with(no("old login, and no scope is needed", fiveMinutes, object{"auth_time": now - 3600}),
			func(c *testCase) { c.Scopes = []string{} }),

		with(no("token of a client, where a login is needed", both, object{"sub": "worker", "client_id": "worker"}),
			func(c *testCase) { c.Want.Reason = "not_a_user" }),
		with(no("old login without the scope", fiveMinutes, object{"scope": "profile", "auth_time": now - 3600}),
			func(c *testCase) { c.Want.Status, c.Want.Reason = 403, "insufficient_scope" }),
		with(no("no token, where a login is needed", both, nil),
			func(c *testCase) { c.Authorization, c.Want.Reason = []string{}, "no_token" }),
	}
}
