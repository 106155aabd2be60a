package issuing

import (
	"errors"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// errNotValid is the response to a code or refresh token that cannot be used, whatever the
// reason.
var errNotValid = oauth.ErrInvalidGrant.Describe("the code or refresh token is unknown, expired, used, revoked, " +
	"or was issued to another client, redirect URI or verifier")

// protocolErrors maps errors of the domain to those of the protocol.
var protocolErrors = []struct {
	from error
	to   *oauth.Error
}{
	{account.ErrIncorrect, errIncorrect},
	{grant.ErrClientChanged, errNoClient},
	{grant.ErrInactive, errNotValid},
	{grant.ErrCodeUnknown, errNotValid},
	{grant.ErrCodeUsed, errNotValid},
	{grant.ErrRefreshToken, errNotValid},
}

// protocolError returns the protocol's error for err, or err itself if the protocol has no code for it.
func protocolError(err error) error {
	for _, e := range protocolErrors {
		if errors.Is(err, e.from) {
			return e.to
		}
	}
	return err
}
