package account

import "errors"

// loginFailure is a reason for which a login fails.
type loginFailure struct {
	reason string // in the log and the audit log
	result string // the label of the metric
}

// Reasons for which logins fail. Add each to loginFailures.
var (
	failThrottled      = loginFailure{"throttled", "throttled"}
	failOverloaded     = loginFailure{"overloaded", "overloaded"}
	failUnknownUser    = loginFailure{"unknown user", "unknown_user"}
	failDisabledUser   = loginFailure{"disabled user", "disabled_user"}
	failDemoOff        = loginFailure{"demo user while the demo is off", "demo_off"}
	failPassword       = loginFailure{"wrong password", "wrong_password"}
	failUnknownPasskey = loginFailure{"unknown passkey", "unknown_passkey"}
	failPasskey        = loginFailure{"wrong passkey", "wrong_passkey"}
	failSecondFactor   = loginFailure{"second factor needed", "second_factor_needed"}
)

// loginFailures has every reason, for LoginResults.
var loginFailures = []loginFailure{
	failThrottled, failOverloaded, failUnknownUser, failDisabledUser, failDemoOff, failPassword, failUnknownPasskey,
	failPasskey, failSecondFactor,
}

// LoginResults returns what the results of logins can be: ok; the reason of a failure; and error if neither the
// username nor the password is the reason, for example because the database is down or the client has left.
func LoginResults() []string {
	results := []string{"ok", "error"}
	for _, f := range loginFailures {
		results = append(results, f.result)
	}
	return results
}

// result returns the result of a login to the account of a user, who is the zero User if unknown.
func (l *Login) result(user User, err error) string {
	if err == nil {
		return "ok"
	}
	if f, ok := l.failureOf(user, err); ok {
		return f.result
	}
	return "error"
}

// failureOf returns why a login failed. It returns false if neither the username nor the password is the reason.
func (l *Login) failureOf(user User, err error) (f loginFailure, ok bool) {
	var throttled *ThrottledError
	var overloaded *OverloadedError
	switch {
	case errors.As(err, &throttled):
		return failThrottled, true
	case errors.As(err, &overloaded):
		return failOverloaded, true
	case !errors.Is(err, ErrIncorrect) && !errors.Is(err, ErrPasskey):
		return loginFailure{}, false
	case user.ID == "" && errors.Is(err, ErrPasskey):
		return failUnknownPasskey, true
	case user.ID == "":
		return failUnknownUser, true
	case !user.Active():
		return failDisabledUser, true
	case l.barred(user):
		return failDemoOff, true
	case errors.Is(err, ErrPasskey):
		return failPasskey, true
	case errors.Is(err, errNeedsSecondFactor):
		return failSecondFactor, true
	}
	return failPassword, true
}
