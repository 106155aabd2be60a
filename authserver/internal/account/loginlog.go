package account

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"

	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/ratelimit"
)

// LogLogin logs, as Check does, that a user is logged in who has just chosen the password. The password and the
// username of the attempt are not used.
func (l *Login) LogLogin(ctx context.Context, user User, a Attempt) {
	l.logResult(ctx, try{Attempt: a, user: user}, nil)
}

// logResult logs a login that succeeded, or why it failed: who, from where and what for. It
// logs an unknown username as a digest.
func (l *Login) logResult(ctx context.Context, t try, err error) {
	var fields []any
	if t.user.ID != "" {
		fields = append(fields, "user", t.user.ID, "username", t.user.Username)
	} else if t.Method == "" {
		fields = append(fields, "username_digest", base64.RawURLEncoding.EncodeToString(t.digest[:16]))
	}
	fields = append(fields, "address", t.Address, "client", t.ClientID, "grant_type", t.GrantType)
	if t.Method != "" {
		fields = append(fields, "method", t.Method)
	}
	if errors.Is(err, ErrPasskey) {
		fields = append(fields, "detail", err.Error())
	}
	if err == nil {
		l.Log.InfoContext(ctx, "logged in", append([]any{"event", "login"}, fields...)...)
		return
	}
	if f, ok := l.failureOf(t.user, err); ok {
		l.Log.WarnContext(ctx, "login failed", append([]any{"event", "login_failed", "reason", f.reason}, fields...)...)
		l.recordFailure(ctx, t, f.reason)
	}
}

// recordFailure records in the audit log why a login failed. An unknown username is a digest there, too.
func (l *Login) recordFailure(ctx context.Context, t try, reason string) {
	if l.Failures == nil {
		return
	}
	digest := ""
	if t.user.ID == "" && t.Method == "" {
		digest = base64.RawURLEncoding.EncodeToString(t.digest[:16])
	}
	a := audit.ActorFrom(ctx)
	a.Kind, a.Address = audit.User, cmp.Or(t.Address, a.Address)
	l.Failures.Failed(audit.WithActor(ctx, a), audit.Event{
		Name: audit.LoginFailed, ClientID: t.ClientID,
		Subject: audit.Subject{Kind: audit.SubjectUser, ID: t.user.ID},
		Details: audit.Details("reason", reason, "method", t.Method, "grant_type", string(t.GrantType),
			"username_digest", digest),
	}, cmp.Or(t.user.ID, digest), ratelimit.Network(t.Address))
}
