package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/hallpass-auth/hallpass/authserver/internal/jwkset"
)

// NoSecret takes the place of the digest of a confidential client that has no secret, because it
// authenticates by assertions. No secret has it as its digest. The digest is not empty, so that
// servers of earlier versions do not treat the client as public.
const NoSecret = "none"

// maxClaim bounds the subject and the audience of assertions, in bytes.
const maxClaim = 255

// Assertion is what the assertions must be by which a client authenticates (RFC 7523 section 2.2):
// those that it signs itself (private_key_jwt, OpenID Connect Core section 9), or, with an Issuer,
// tokens that another issuer gave it, such as Kubernetes. With the zero value the
// client authenticates by a secret or not at all.
type Assertion struct {
	// JWKS is a JWK Set with the public keys.
	JWKS string `json:"jwks,omitempty"`
	// JWKSURI is where the JWK Set is, if it is not in JWKS. Without both, the metadata of
	// Issuer says where.
	JWKSURI string `json:"jwks_uri,omitempty"`
	// Issuer is the iss of the tokens of another issuer.
	Issuer string `json:"issuer,omitempty"`
	// Subject is the sub of these tokens.
	Subject string `json:"subject,omitempty"`
	// Audience is their aud; empty stands for the identifier of this server.
	Audience string `json:"audience,omitempty"`
}

// Enabled reports whether the client authenticates by assertions.
func (a Assertion) Enabled() bool { return a != Assertion{} }

// Method returns how the client authenticates, for people.
func (a Assertion) Method() string {
	switch {
	case a.Issuer != "":
		return "token of " + a.Issuer
	case a.Enabled():
		return "private_key_jwt"
	}
	return ""
}

// check checks what the assertions must be. The error is ErrBad.
func (a Assertion) check() error {
	switch {
	case a.JWKS != "" && a.JWKSURI != "":
		return fmt.Errorf("%w: it has a JWK Set and the URL of one: give only one of them", ErrBad)
	case (a.Issuer == "") != (a.Subject == ""):
		return fmt.Errorf("%w: a trusted issuer needs a subject, and a subject an issuer", ErrBad)
	case a.Issuer == "" && a.Audience != "":
		return fmt.Errorf("%w: only the tokens of a trusted issuer can have an audience of their own", ErrBad)
	case len(a.Subject) > maxClaim || len(a.Audience) > maxClaim:
		return fmt.Errorf("%w: the subject or the audience is longer than %d bytes", ErrBad, maxClaim)
	}
	if a.JWKS != "" {
		if _, err := jwkset.Parse([]byte(a.JWKS)); err != nil {
			return fmt.Errorf("%w: %w", ErrBad, err)
		}
	}
	if a.JWKSURI != "" {
		if err := checkFetched("URL of the JWK Set", a.JWKSURI); err != nil {
			return err
		}
	}
	if a.Issuer != "" {
		return checkFetched("trusted issuer", a.Issuer)
	}
	return nil
}

// checkFetched checks a URL that the server will fetch. It is https; http is for tests on this
// machine, and the server refuses it unless a setting allows it.
func checkFetched(what, text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.User != nil || strings.ContainsAny(text, "# "):
		return fmt.Errorf("%w: the %s must be an https URL without user name and fragment", ErrBad, what)
	case u.Scheme == "https", u.Scheme == "http" && net.ParseIP(u.Hostname()).IsLoopback():
		return nil
	}
	return fmt.Errorf("%w: the %s must begin with https://", ErrBad, what)
}

// CompactJWKS returns a JWK Set without white space, as it is stored. It returns ErrBad if it is
// not JSON.
func CompactJWKS(data []byte) (string, error) {
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		return "", fmt.Errorf("%w: the JWK Set is not JSON", ErrBad)
	}
	return b.String(), nil
}
