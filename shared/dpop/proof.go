package dpop

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/internal/strictjson"
)

// maxID limits a jti, in bytes.
const maxID = 255

// maxSeconds is the end of the year 9999. Later times overflow in package time.
const maxSeconds = 253402300799

// Proof is a proof that Verifier has checked.
type Proof struct {
	// Thumbprint identifies the key (RFC 7638). It is the jkt of tokens that are bound to the key.
	Thumbprint string
	// ID identifies the key and the jti together, so that clients cannot use up the proofs of others.
	ID [sha256.Size]byte
	// Nonce is the nonce for the next proofs. It is empty if the nonce of this proof can still be used for a while, or
	// if no nonce is needed.
	Nonce string
}

// header is the JOSE header of a proof (RFC 9449 section 4.2). Other members are ignored.
type header struct {
	Type      string          `json:"typ"`
	Algorithm string          `json:"alg"`
	JWK       *jwk            `json:"jwk"`
	Critical  json.RawMessage `json:"crit"`
}

// claims are the claims of a proof. Members that may be absent are pointers.
type claims struct {
	ID       string   `json:"jti"`
	Method   string   `json:"htm"`
	URL      string   `json:"htu"`
	IssuedAt *float64 `json:"iat"`
	Hash     string   `json:"ath"`
	Nonce    string   `json:"nonce"`
}

// unverified is a well-formed proof whose signature has not been verified yet.
type unverified struct {
	claims

	key       publicKey
	signed    string
	signature []byte
}

// parse parses the values of the header DPoP (RFC 9449 section 4.3, checks 1 to 6, and 8 and 9 in part).
func parse(values []string) (unverified, error) {
	switch {
	case len(values) == 0:
		return unverified{}, errInvalid.Describe("the header DPoP is missing")
	case len(values) > 1:
		return unverified{}, errInvalid.Describe("more than one header DPoP")
	case len(values[0]) > MaxLength:
		return unverified{}, errInvalid.Describe("the proof is too long")
	}
	texts := strings.SplitN(values[0], ".", 4)
	if len(texts) != 3 {
		return unverified{}, errNoJWT
	}
	var parts [3][]byte
	for i, text := range texts {
		var err error
		if parts[i], err = decode(text); err != nil || text == "" {
			return unverified{}, errNoJWT
		}
	}
	key, err := parseHeader(parts[0])
	if err != nil {
		return unverified{}, err
	}
	p := unverified{key: key, signed: texts[0] + "." + texts[1], signature: parts[2]}
	if strictjson.Unmarshal(parts[1], &p.claims) != nil {
		return unverified{}, errInvalid.Describe("the claims are not a JSON object, or one has the wrong type")
	}
	return p, p.claims.checkPresent()
}

var errNoJWT = errInvalid.Describe("the proof is not a signed JWT")

// parseHeader returns the key of a proof.
func parseHeader(text []byte) (publicKey, error) {
	var h header
	if strictjson.Unmarshal(text, &h) != nil {
		return publicKey{}, errInvalid.Describe(
			"the header of the proof is not a JSON object, or a member such as jwk has the wrong type")
	}
	switch {
	case strings.TrimPrefix(strings.ToLower(h.Type), "application/") != Type:
		return publicKey{}, errInvalid.Describe("typ is not " + Type)
	case !slices.Contains(Algorithms, h.Algorithm):
		return publicKey{}, errInvalid.Describe("alg is not one of " + strings.Join(Algorithms, ", "))
	case h.Critical != nil:
		return publicKey{}, errInvalid.Describe("crit names an extension, and none is supported")
	case h.JWK == nil:
		return publicKey{}, errInvalid.Describe("jwk is missing")
	}
	return h.JWK.public(h.Algorithm)
}

// checkPresent returns an error unless the claims that every proof needs are present.
func (c *claims) checkPresent() error {
	switch {
	case c.ID == "":
		return errInvalid.Describe("jti is missing")
	case len(c.ID) > maxID:
		return errInvalid.Describe("jti is too long")
	case c.Method == "":
		return errInvalid.Describe("htm is missing")
	case c.URL == "":
		return errInvalid.Describe("htu is missing")
	case c.IssuedAt == nil:
		return errInvalid.Describe("iat is missing")
	case *c.IssuedAt < 0 || *c.IssuedAt > maxSeconds:
		return errInvalid.Describe("iat is not a time in seconds since 1970")
	}
	return nil
}

// checkTime checks that iat is not older than the first duration, and not further ahead than the second.
func (c *claims) checkTime(now time.Time, old, ahead time.Duration) error {
	at := time.Unix(int64(*c.IssuedAt), 0)
	switch {
	case now.Sub(at) > old:
		return errInvalid.Describe("iat is too long ago: is the client's clock right?")
	case at.Sub(now) > ahead:
		return errInvalid.Describe("iat is in the future: is the client's clock right?")
	}
	return nil
}

// checkToken checks that the proof was made for an access token (RFC 9449 section 4.3, check 12).
func (c *claims) checkToken(access string) error {
	switch {
	case c.Hash == "":
		return errInvalid.Describe("ath is missing")
	case subtle.ConstantTimeCompare([]byte(c.Hash), []byte(tokenHash(access))) != 1:
		return errInvalid.Describe("ath is not the hash of the access token")
	}
	return nil
}

// tokenHash returns the ath of an access token (RFC 9449 section 4.2).
func tokenHash(access string) string {
	sum := sha256.Sum256([]byte(access))
	return base64url.EncodeToString(sum[:])
}

// verify verifies the signature and returns the proof. It does not set Proof.Nonce.
func (p *unverified) verify() (Proof, error) {
	if p.key.method.Verify(p.signed, p.signature, p.key.key) != nil {
		return Proof{}, errInvalid.Describe("the signature is wrong")
	}
	return Proof{
		Thumbprint: p.key.thumbprint,
		ID:         sha256.Sum256([]byte("DPoP proof\n" + p.key.thumbprint + "\n" + p.claims.ID)),
	}, nil
}
