package account

// resultsOf maps the reasons for which logins fail, as the log has them, to results.
var resultsOf = map[string]string{
	"throttled":                       "throttled",
	"overloaded":                      "overloaded",
	"unknown user":                    "unknown_user",
	"disabled user":                   "disabled_user",
	"demo user while the demo is off": "demo_off",
	"wrong password":                  "wrong_password",
	"unknown passkey":                 "unknown_passkey",
	"wrong passkey":                   "wrong_passkey",
	"second factor needed":            "second_factor_needed",
}

// LoginResults returns what the results of logins can be: ok; the reason of a failure; and error if neither the
// username nor the password is the reason, for example because the database is down or the client has left.
func LoginResults() []string {
	results := []string{"ok", "error"}
	for _, result := range resultsOf {
		results = append(results, result)
	}
	return results
}

// result returns the result of a login to the account of a user, who is the zero User if unknown.
func (l *Login) result(user User, err error) string {
	if err == nil {
		return "ok"
	}
	if reason, ok := l.failureReason(user, err); ok {
		return resultsOf[reason]
	}
	return "error"
}
