package oauth

import (
	"strings"
)

// ErrorCode is the value of the "error" member of an OAuth error response.
type ErrorCode string

// The error codes of the token endpoint (RFC 6749 section 5.2; RFC 8628 section 3.5), of the authorization
// endpoint (RFC 6749 section 4.1.2.1; OpenID Connect Core section 3.1.2.6; OpenID Connect Core Error Code
// unmet_authentication_requirements 1.0), of both (RFC 8707 section 2), and of a protected resource (RFC 6750
// section 3.1).
const (
	CodeInvalidRequest          ErrorCode = "invalid_request"
	CodeInvalidClient           ErrorCode = "invalid_client"
	CodeInvalidGrant            ErrorCode = "invalid_grant"
	CodeUnauthorizedClient      ErrorCode = "unauthorized_client"
	CodeUnsupportedGrantType    ErrorCode = "unsupported_grant_type"
	CodeInvalidScope            ErrorCode = "invalid_scope"
	CodeServerError             ErrorCode = "server_error"
	CodeTemporarilyUnavailable  ErrorCode = "temporarily_unavailable"
	CodeAccessDenied            ErrorCode = "access_denied"
	CodeAuthorizationPending    ErrorCode = "authorization_pending"
	CodeSlowDown                ErrorCode = "slow_down"
	CodeExpiredToken            ErrorCode = "expired_token"
	CodeUnsupportedResponseType ErrorCode = "unsupported_response_type"
	CodeLoginRequired           ErrorCode = "login_required"
	CodeConsentRequired         ErrorCode = "consent_required"
	CodeRequestNotSupported     ErrorCode = "request_not_supported"
	CodeRequestURINotSupported  ErrorCode = "request_uri_not_supported"
	CodeUnmetAuthentication     ErrorCode = "unmet_authentication_requirements"
	CodeInvalidTarget           ErrorCode = "invalid_target"
	CodeInvalidToken            ErrorCode = "invalid_token"
	CodeInsufficientScope       ErrorCode = "insufficient_scope"
	CodeInsufficientLogin       ErrorCode = "insufficient_user_authentication" // RFC 9470 section 3
	CodeInvalidDPoPProof        ErrorCode = "invalid_dpop_proof"               // RFC 9449 sections 5 and 7.1
	CodeUseDPoPNonce            ErrorCode = "use_dpop_nonce"                   // RFC 9449 sections 8 and 9
	CodeInvalidRedirectURI      ErrorCode = "invalid_redirect_uri"             // RFC 7591 section 3.2.2
	CodeInvalidClientMetadata   ErrorCode = "invalid_client_metadata"          // RFC 7591 section 3.2.2
)

// Error is a protocol error: a code for programs and a description for developers. errors.Is compares
// only the code, so use it with the sentinels below. An Error is immutable.
type Error struct {
	Code        ErrorCode
	Description string
}

// Protocol errors without a description. Describe adds one.
var (
	ErrInvalidRequest       = &Error{Code: CodeInvalidRequest}
	ErrInvalidClient        = &Error{Code: CodeInvalidClient}
	ErrInvalidGrant         = &Error{Code: CodeInvalidGrant}
	ErrUnauthorizedClient   = &Error{Code: CodeUnauthorizedClient}
	ErrUnsupportedGrantType = &Error{Code: CodeUnsupportedGrantType}
	ErrInvalidScope         = &Error{Code: CodeInvalidScope}
)

// Describe returns a copy of e with a description. Characters that RFC 6749 section 5.2 does not allow in
// error_description are replaced, so text may contain input of the client.
func (e *Error) Describe(text string) *Error {
	return &Error{Code: e.Code, Description: DescriptionText(text)}
}

// Error returns "code: description".
func (e *Error) Error() string {
	if e.Description == "" {
		return string(e.Code)
	}
	return string(e.Code) + ": " + e.Description
}

// Is reports whether target is a protocol error with the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// DescriptionText replaces the characters that RFC 6749 section 5.2 and RFC 6750 section 3 do not allow in
// an error_description, those outside %x20-21 / %x23-5B / %x5D-7E: a double quote by a single one, the
// others by a question mark.
func DescriptionText(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r < 0x20 || r > 0x7E || r == '\\':
			return '?'
		}
		return r
	}, s)
}
