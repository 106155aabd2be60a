package main

import (
	"errors"
	"fmt"

	"github.com/hallpass-auth/hallpass/shared/database"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/configfile"
	"github.com/hallpass-auth/hallpass/authserver/internal/emailcheck"
	"github.com/hallpass-auth/hallpass/authserver/internal/keyfile"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/userimport"
	"github.com/hallpass-auth/hallpass/authserver/internal/webhook"
)

// exitCodes maps errors to the exit codes that operators' scripts rely on.
var exitCodes = []struct {
	err  error
	code int
}{
	{record.ErrNotFound, program.ExitNotFound},

	{record.ErrExists, program.ExitConflict},
	{account.ErrEmailTaken, program.ExitConflict},
	{resource.ErrDefault, program.ExitConflict},
	{keyfile.ErrExists, program.ExitConflict},
	{keyfile.ErrBusy, program.ExitConflict},
	{database.ErrNotEmpty, program.ExitConflict},

	{userimport.ErrFormat, program.ExitUsage},
	{account.ErrBadName, program.ExitUsage},
	{account.ErrBadIdentity, program.ExitUsage},
	{account.ErrWeakPassword, program.ExitUsage},
	{emailcheck.ErrNothingToVerify, program.ExitUsage},
	{client.ErrBad, program.ExitUsage},
	{resource.ErrBad, program.ExitUsage},
	{webhook.ErrBad, program.ExitUsage},
	{oauth.ErrInvalidScope, program.ExitUsage},
	{admin.ErrLacksScope, program.ExitUsage},
	{configfile.ErrBad, program.ExitUsage},
	{keyring.ErrBadRing, program.ExitUsage},
	{keyring.ErrWeakKey, program.ExitUsage},
	{keyring.ErrNoKey, program.ExitUsage},
	{keyfile.ErrNoPath, program.ExitUsage},
	{keyfile.ErrSeveralAPIs, program.ExitUsage},
	{keyfile.ErrOwnFile, program.ExitUsage},
	{keyfile.ErrExport, program.ExitUsage},
	{keyfile.ErrPublicOnly, program.ExitUsage},
	{keyfile.ErrTwice, program.ExitUsage},
}

// errEmpty means that a flag or argument has no value.
func errEmpty(name string) error {
	return program.WithCode(program.ExitUsage, fmt.Errorf("%s must not be empty", name))
}

// exitError adds the exit code to an error. It also adds the subject, unless that is empty, to
// errors about something that is missing or already exists, unless their text names it.
func exitError(subject string, err error) error {
	for _, known := range exitCodes {
		if !errors.Is(err, known.err) {
			continue
		}
		if subject != "" && known.code != program.ExitUsage && !errors.Is(err, keyfile.ErrBusy) {
			err = fmt.Errorf("%s: %w", subject, err)
		}
		return program.WithCode(known.code, err)
	}
	return err
}
