package web

import (
	"errors"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-auth/hallpass/shared/httpserver"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/passkey"
	"github.com/hallpass-auth/hallpass/authserver/internal/ratelimit"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
)

// Reasons for which the second step of a login fails, as the log has them.
const (
	wrongCode      = "wrong code"
	wrongPasskey   = "wrong passkey"
	stepsThrottled = "throttled"
	loginEnded     = "login ended"
)

// newSecondSteps returns the metric of second steps. The results of failures are the reasons, with _ between words.
func newSecondSteps() *prometheus.CounterVec {
	steps := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hallpass_second_steps_total",
		Help: "Second steps of logins by result: ok, wrong_code, wrong_passkey, throttled, login_ended, or error.",
	}, []string{"result"})
	for _, result := range []string{"ok", wrongCode, wrongPasskey, stepsThrottled, loginEnded, "error"} {
		steps.WithLabelValues(resultOf(result))
	}
	return steps
}

// resultOf returns a reason as the label of a metric.
func resultOf(reason string) string { return strings.ReplaceAll(reason, " ", "_") }

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
	reason := reasonOf(err)
	if reason == "" { // it is logged as the error of the request, if it is one
		e.secondSteps.WithLabelValues("error").Inc()
		return
	}
	e.secondSteps.WithLabelValues(resultOf(reason)).Inc()
	if reason == wrongPasskey {
		fields = append(fields, "detail", err.Error())
	}
	fields = append([]any{"event", "second_step_failed", "reason", reason}, fields...)
	e.cfg.Log.WarnContext(ctx, "second step of a login failed", fields...)
	if e.cfg.Failures != nil {
		e.cfg.Failures.Failed(ctx, audit.Event{
			Name: audit.SecondStepFailed, ClientID: s.pending.ClientID,
			Subject: audit.Subject{Kind: audit.SubjectUser, ID: s.user.ID}, Details: audit.Details("reason", reason),
		}, s.user.ID, ratelimit.Network(address))
	}
}

// reasonOf returns why a second step has failed; empty if that is neither the user's fault nor an attack.
func reasonOf(err error) string {
	var throttled *account.ThrottledError
	switch {
	case errors.Is(err, secondfactor.ErrIncorrect):
		return wrongCode
	case errors.Is(err, account.ErrPasskey), errors.Is(err, passkey.ErrExpired):
		return wrongPasskey
	case errors.As(err, &throttled):
		return stepsThrottled
	case errors.Is(err, secondfactor.ErrPendingUnknown):
		return loginEnded
	}
	return ""
}
