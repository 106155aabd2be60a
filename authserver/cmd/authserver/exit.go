package main

import (
	"errors"
	"fmt"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// errKept says that a file that a command would make is there. It follows the path.
var errKept = errors.New("exists already: it is left as it is")

// exitCodes are the errors that end a command with a code of their own, whatever the
// command is about: what operators' scripts rely on.
var exitCodes = []struct {
	err  error
	code int
}{
	{account.ErrNotFound, program.ExitNotFound},
	{client.ErrNotFound, program.ExitNotFound},
	{resource.ErrNotFound, program.ExitNotFound},
	{resource.ErrNoScope, program.ExitNotFound},
	{store.ErrNoConsent, program.ExitNotFound},

	{account.ErrExists, program.ExitConflict},
	{client.ErrExists, program.ExitConflict},
	{resource.ErrExists, program.ExitConflict},
	{resource.ErrDefault, program.ExitConflict},
	{errKept, program.ExitConflict},

	{account.ErrBadName, program.ExitUsage},
	{account.ErrWeakPassword, program.ExitUsage},
	{client.ErrBad, program.ExitUsage},
	{resource.ErrBad, program.ExitUsage},
	{oauth.ErrInvalidScope, program.ExitUsage},
	{keyring.ErrBadRing, program.ExitUsage},
	{keyring.ErrWeakKey, program.ExitUsage},
}

// exitError gives an error its exit code. What is missing or there already is named by
// the subject, if that is not empty; what is wrong says itself what it is about.
func exitError(subject string, err error) error {
	for _, known := range exitCodes {
		if !errors.Is(err, known.err) {
			continue
		}
		if subject != "" && known.code != program.ExitUsage {
			err = fmt.Errorf("%s: %w", subject, err)
		}
		return program.WithCode(known.code, err)
	}
	return err
}
