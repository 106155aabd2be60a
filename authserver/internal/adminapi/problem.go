package adminapi

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/hallpass-auth/hallpass/shared/humaapi"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/emailcheck"
	"github.com/hallpass-auth/hallpass/authserver/internal/keyfile"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/webhook"
)

// problems maps errors to their status. The text of an error is its detail, unless there is another one. The first
// entry that matches counts.
var problems = []struct {
	err    error
	status int
	detail string
}{
	{client.ErrBad, http.StatusUnprocessableEntity, ""}, // also one that names an API that is not found
	{record.ErrNotFound, http.StatusNotFound, ""},
	{record.ErrExists, http.StatusConflict, ""},
	{record.ErrCursor, http.StatusBadRequest, errCursor.Error()},
	{admin.ErrLastAdministrator, http.StatusConflict, "It is the last administrator. Make another one first."},
	{admin.ErrChanged, http.StatusPreconditionFailed, "It has changed since the ETag of If-Match. Read it again."},
	{admin.ErrNoMail, http.StatusUnprocessableEntity, ""},
	{admin.ErrNotInGroup, http.StatusUnprocessableEntity, ""},
	{account.ErrBadName, http.StatusUnprocessableEntity, ""},
	{account.ErrBadIdentity, http.StatusUnprocessableEntity, ""},
	{account.ErrWeakPassword, http.StatusUnprocessableEntity, ""},
	{account.ErrEmailTaken, http.StatusConflict, ""},
	{emailcheck.ErrNothingToVerify, http.StatusUnprocessableEntity, ""},
	{resource.ErrBad, http.StatusUnprocessableEntity, ""},
	{resource.ErrDefault, http.StatusConflict, ""},
	{admin.ErrAdminAPI, http.StatusConflict, ""},
	{admin.ErrLacksScope, http.StatusUnprocessableEntity, ""},
	{admin.ErrBadKeepOld, http.StatusUnprocessableEntity, ""},
	{admin.ErrNoKeysFile, http.StatusConflict, ""},
	{admin.ErrKeysElsewhere, http.StatusConflict, ""},
	{admin.ErrBadRotation, http.StatusUnprocessableEntity, ""},
	{keyfile.ErrBusy, http.StatusConflict, ""},
	{keyfile.ErrExists, http.StatusConflict, ""},
	{keyfile.ErrExport, http.StatusConflict, ""},
	{keyfile.ErrPublicOnly, http.StatusConflict, ""},
	{keyring.ErrBadRing, http.StatusConflict, ""},
	{keyring.ErrWeakKey, http.StatusConflict, ""},
	{keyring.ErrNoKey, http.StatusUnprocessableEntity, ""},
	{webhook.ErrBad, http.StatusUnprocessableEntity, ""},
	{webhook.ErrTooMany, http.StatusConflict, ""},
	{oauth.ErrInvalidScope, http.StatusUnprocessableEntity, ""},
	{store.ErrUnavailable, http.StatusServiceUnavailable, "The database cannot be reached right now."},
	{context.Canceled, http.StatusServiceUnavailable, "The request was canceled."},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, "The request took too long."},
}

// asProblem returns the response to an error of an operation. An unknown one becomes a 500 with a fixed text; its cause
// is logged, like that of an unavailable database.
func asProblem(err error) error {
	var known huma.StatusError
	if errors.As(err, &known) {
		return err
	}
	var busy *account.OverloadedError
	if errors.As(err, &busy) {
		return humaapi.NewProblem(http.StatusServiceUnavailable, "Too many passwords are being checked.", nil)
	}
	for _, p := range problems {
		if !errors.Is(err, p.err) {
			continue
		}
		detail := p.detail
		if detail == "" {
			detail = err.Error()
		}
		var cause error
		if errors.Is(err, store.ErrUnavailable) {
			cause = err
		}
		return humaapi.NewProblem(p.status, detail, cause)
	}
	const status = http.StatusInternalServerError
	return humaapi.NewProblem(status, http.StatusText(status), err)
}
