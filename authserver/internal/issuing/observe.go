package issuing

import (
	"errors"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// Observer is told how requests end, for metrics. It must be safe for concurrent use. All its arguments are
// from small sets.
type Observer interface {
	// Token is called for each request of an authenticated client that may use the grant type. The type is written
	// as people do, see grant.Type. The result is ok, the code of an OAuth error, throttled, overloaded, or error.
	Token(grantType, result string)
	// Refresh is called for each request with a refresh token. The result is one of RefreshResults.
	Refresh(result string)
}

// RefreshResults are the results of requests with a refresh token.
var RefreshResults = []string{
	"ok",       // the client has got the next token
	"repeated", // the same, for a token that was used within the grace period
	refusedReused.result,
	refusedUnknown.result,
	refusedMalformed.result,
	refusedOtherClient.result,
	refusedRevoked.result,
	refusedExpired.result,
	"refused", // the token is valid, but the client, the API or the scope is not
	"error",
}

// observeToken tells the observer how a request ended.
func (s *Service) observeToken(t grant.Type, err error) {
	if s.cfg.Observer != nil {
		s.cfg.Observer.Token(t.String(), resultOf(err))
	}
}

// resultOf returns the result of a request that ended with err.
func resultOf(err error) string {
	var protocol *oauth.Error
	var throttled *account.ThrottledError
	var overloaded *account.OverloadedError
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &protocol):
		return string(protocol.Code)
	case errors.As(err, &throttled):
		return "throttled"
	case errors.As(err, &overloaded):
		return "overloaded"
	}
	return "error"
}

// observeRefresh tells the observer how a request with a refresh token ended. why is the zero value unless
// the token itself was refused.
func (s *Service) observeRefresh(why tokenRefusal, verdict grant.Verdict, err error) {
	if s.cfg.Observer == nil {
		return
	}
	var protocol *oauth.Error
	var result string
	switch {
	case why != tokenRefusal{}:
		result = why.result
	case err == nil && verdict == grant.Recent:
		result = "repeated"
	case err == nil:
		result = "ok"
	case errors.As(protocolError(err), &protocol):
		result = "refused"
	default:
		result = "error"
	}
	s.cfg.Observer.Refresh(result)
}
