package dpop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Signer makes proofs, for clients and tests. It is safe for concurrent use.
type Signer struct {
	key        *ecdsa.PrivateKey
	header     string // of every proof, in base64url
	thumbprint string
	now        func() time.Time
}

// NewSigner returns a Signer with a key on P-256. The clock is time.Now if now is nil.
func NewSigner(key *ecdsa.PrivateKey, now func() time.Time) (*Signer, error) {
	if key.Curve != elliptic.P256() {
		return nil, errors.New("the key is not on P-256")
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	x, y := base64url.EncodeToString(point[1:1+coordinate]), base64url.EncodeToString(point[1+coordinate:])
	jwk := `{"crv":"P-256","kty":"EC","x":"` + x + `","y":"` + y + `"}`
	if now == nil {
		now = time.Now
	}
	return &Signer{
		key:        key,
		header:     base64url.EncodeToString([]byte(`{"typ":"` + Type + `","alg":"ES256","jwk":` + jwk + `}`)),
		thumbprint: thumbprint(jwk),
		now:        now,
	}, nil
}

// Thumbprint returns the jkt of tokens that are bound to the key.
func (s *Signer) Thumbprint() string { return s.thumbprint }

// signedClaims are the claims of a proof that Signer makes.
type signedClaims struct {
	ID       string `json:"jti"`
	Method   string `json:"htm"`
	URL      string `json:"htu"`
	IssuedAt int64  `json:"iat"`
	Hash     string `json:"ath,omitempty"`
	Nonce    string `json:"nonce,omitempty"`
}

// Proof returns a proof for one request to a URL without query and fragment. The access token is empty at the token
// endpoint. The nonce is the last one that the server sent in NonceHeader, if any.
func (s *Signer) Proof(method, url, access, nonce string) (string, error) {
	claims := signedClaims{ID: rand.Text(), Method: method, URL: url, IssuedAt: s.now().Unix(), Nonce: nonce}
	if access != "" {
		claims.Hash = tokenHash(access)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed := s.header + "." + base64url.EncodeToString(payload)
	signature, err := jwt.SigningMethodES256.Sign(signed, s.key)
	if err != nil {
		return "", err
	}
	return signed + "." + base64url.EncodeToString(signature), nil
}

// Authorize sets the headers of a request with an access token that is bound to the key. The proof is for the URL of
// the request.
func (s *Signer) Authorize(r *http.Request, access, nonce string) error {
	url := r.URL.Scheme + "://" + r.URL.Host + r.URL.EscapedPath()
	proof, err := s.Proof(r.Method, url, access, nonce)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", Scheme+" "+access)
	r.Header.Set(Header, proof)
	return nil
}
