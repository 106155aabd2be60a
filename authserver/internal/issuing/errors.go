package issuing

import (
	"errors"

	liberrors "github.com/go-oauth2/oauth2/v4/errors"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// errIncorrect is the answer to every login that is refused for what was typed.
var errIncorrect = oauth.ErrInvalidGrant.Describe("Incorrect username or password")

// errNotGood is the answer to a code or refresh token that cannot be used, whatever
// the reason.
var errNotGood = oauth.ErrInvalidGrant.Describe("the code or refresh token is unknown, expired, used, revoked, or was issued to another client, redirect URI or verifier")

// errNoClient is the answer to a client that is no more.
var errNoClient = oauth.ErrInvalidClient.Describe("client authentication failed")

// protocolErrors says which error of the library or of the domain means which one
// of the protocol. The library's own statuses and texts are not used: several are
// against RFC 6749 §5.2.
var protocolErrors = []struct {
	from error
	to   *oauth.Error
}{
	{account.ErrIncorrect, errIncorrect},
	{record.ErrNotFound, errNotGood},
	{grant.ErrCodeUnknown, errNotGood},
	{grant.ErrCodeUsed, errNotGood},
	{liberrors.ErrInvalidRefreshToken, errNotGood},
	{liberrors.ErrInvalidAuthorizeCode, errNotGood},
	{liberrors.ErrInvalidCodeChallenge, errNotGood},
	{liberrors.ErrInvalidRequest, oauth.ErrInvalidRequest.Describe("a parameter that the grant type needs is missing")},
	{liberrors.ErrInvalidClient, errNoClient},
	{liberrors.ErrInvalidGrant, errNotGood},
	{liberrors.ErrUnauthorizedClient, oauth.ErrUnauthorizedClient},
	{liberrors.ErrUnsupportedGrantType, oauth.ErrUnsupportedGrantType},
	{liberrors.ErrInvalidScope, oauth.ErrInvalidScope},
}

// protocolError returns the protocol's error for err, or err itself when the
// protocol has no word for it.
func protocolError(err error) error {
	for _, e := range protocolErrors {
		if errors.Is(err, e.from) {
			return e.to
		}
	}
	return err
}

// issueError is protocolError for the token endpoint. A user or client who has gone since
// the request was checked is answered as one moment before: it depends on what the request
// has shown.
func issueError(grantType oauth.GrantType, err error) error {
	switch {
	case !errors.Is(err, grant.ErrInactive):
		return protocolError(err)
	case grantType == oauth.GrantPassword:
		return errIncorrect
	case grantType == oauth.GrantClientCredentials:
		return errNoClient
	}
	return errNotGood
}
