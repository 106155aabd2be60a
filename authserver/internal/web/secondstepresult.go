package web

import (
	"errors"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-auth/hallpass/shared/httpserver"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/passkey"
	"github.com/hallpass-auth/hallpass/authserver/internal/ratelimit"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
)

// stepFailure is a reason for which the second step of a login fails.
type stepFailure struct {
	reason string // in the log and the audit log
	result string // the label of the metric
}

// Reasons for which second steps fail. Add each to stepFailures.
var (
	wrongCode      = stepFailure{"wrong code", "wrong_code"}
	wrongPasskey   = stepFailure{"wrong passkey", "wrong_passkey"}
	stepsThrottled = stepFailure{"throttled", "throttled"}
	loginEnded     = stepFailure{"login ended", "login_ended"}
)

// stepFailures has every reason, for the metric.
var stepFailures = []stepFailure{wrongCode, wrongPasskey, stepsThrottled, loginEnded}

// newSecondSteps returns the metric of second steps.
func newSecondSteps() *prometheus.CounterVec {
	steps := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hallpass_second_steps_total",
		Help: "Second steps of logins by result: ok, wrong_code, wrong_passkey, throttled, login_ended, or error.",
	}, []string{"result"})
	steps.WithLabelValues("ok")
	steps.WithLabelValues("error")
	for _, f := range stepFailures {
		steps.WithLabelValues(f.result)
	}
	return steps
}

// reportSecondStep logs and counts the second step of a login, or why it failed.
func (e *endpoints) reportSecondStep(r *http.Request, s secondStep, done secondfactor.Completion, err error) {
	ctx, address := r.Context(), httpserver.Host(r.RemoteAddr)
	fields := []any{
		"user", s.user.ID, "address", address, "client", s.pending.ClientID, "grant_type", s.pending.GrantType,
	}
	if err == nil {
		if done.NewFactor != nil {
			e.cfg.SecondFactors.LogAdded(ctx, s.user, *done.NewFactor, address)
		}
		e.secondSteps.WithLabelValues("ok").Inc()
		fields = append([]any{"event", "second_step", "recovery_code", done.UsedCode != ""}, fields...)
		e.cfg.Log.InfoContext(ctx, "second step of a login", fields...)
		return
	}
	failed, ok := stepFailureOf(err)
	if !ok { // it is logged as the error of the request, if it is one
		e.secondSteps.WithLabelValues("error").Inc()
		return
	}
	e.secondSteps.WithLabelValues(failed.result).Inc()
	if failed == wrongPasskey {
		fields = append(fields, "detail", err.Error())
	}
	fields = append([]any{"event", "second_step_failed", "reason", failed.reason}, fields...)
	e.cfg.Log.WarnContext(ctx, "second step of a login failed", fields...)
	if e.cfg.Failures != nil {
		e.cfg.Failures.Failed(ctx, audit.Event{
			Name: audit.SecondStepFailed, ClientID: s.pending.ClientID,
			Subject: audit.Subject{Kind: audit.SubjectUser, ID: s.user.ID},
			Details: audit.Details("reason", failed.reason),
		}, s.user.ID, ratelimit.Network(address))
	}
}

// stepFailureOf returns why a second step has failed. It returns false if that is neither the user's fault nor an
// attack.
func stepFailureOf(err error) (f stepFailure, ok bool) {
	var throttled *account.ThrottledError
	switch {
	case errors.Is(err, secondfactor.ErrIncorrect):
		return wrongCode, true
	case errors.Is(err, account.ErrPasskey), errors.Is(err, passkey.ErrExpired):
		return wrongPasskey, true
	case errors.As(err, &throttled):
		return stepsThrottled, true
	case errors.Is(err, secondfactor.ErrPendingUnknown):
		return loginEnded, true
	}
	return stepFailure{}, false
}
