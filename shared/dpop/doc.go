// Package dpop makes and verifies DPoP proofs (RFC 9449).
//
// A proof is a JWT that a client signs for one request and sends in the header DPoP. It shows that the client has
// a private key. Someone who steals an access token that is bound to the key cannot use it without the key.
//
// A server has a [Verifier]. A client, or a test, has a [Signer].
package dpop

import (
	"errors"

	"github.com/hallpass-auth/hallpass/shared/oauth"
)

// Names of RFC 9449.
const (
	// Header is the request header with the proof (section 4).
	Header = "DPoP"
	// NonceHeader is the response header with the nonce for the next proofs (section 8).
	NonceHeader = "DPoP-Nonce"
	// Scheme is the authentication scheme for bound access tokens (section 7.1), and their token_type (section 5).
	Scheme = "DPoP"
	// Type is the typ of a proof (section 4.2).
	Type = "dpop+jwt"
)

// Algorithms are the accepted signature algorithms of proofs (RFC 7518, RFC 8037, RFC 9864). Their key types are those
// that Hallpass also uses for access tokens. Ed25519 is the new name of EdDSA.
var Algorithms = []string{"ES256", "EdDSA", "Ed25519", "RS256", "PS256"}

// MaxLength is the maximum length of a proof, in bytes. A proof with an RSA key of 4096 bits has less than 2 KiB.
const MaxLength = 4 << 10

// ErrReplayed is returned by Replays.Use for a proof that was used before.
var ErrReplayed = errors.New("the proof was used before")

// The errors of Verifier. Their descriptions are for the developer of the client and never quote the proof.
var (
	errInvalid  = &oauth.Error{Code: oauth.CodeInvalidDPoPProof}
	errReplayed = errInvalid.Describe("the proof was used before (jti)")
	errNonce    = &oauth.Error{
		Code:        oauth.CodeUseDPoPNonce,
		Description: "the proof needs the nonce that this response has in the header DPoP-Nonce",
	}
)
