package dpop_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/hallpass-auth/hallpass/shared/dpop"
)

// Only the proof that the client has made is accepted, byte for byte.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{example, example + ".", example[1:], "", "..", example + "\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, proof string) {
		r := request("POST", "https://server.example.com/token")
		r.Header.Set(dpop.Header, proof)
		s := newServer(t, "https://server.example.com", "")
		s.now = exampleTime
		if got, err := s.Check(r, ""); (err == nil) != (proof == example) {
			t.Errorf("%q: %+v, %v", proof, got, err)
		}
	})
}

// fixedClient returns a client with the same key in every process of a fuzz test.
func fixedClient(f *testing.F) *client {
	f.Helper()
	scalar := sha256.Sum256([]byte("the key of the fuzz tests"))
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar[:])
	if err != nil {
		f.Fatal(err)
	}
	header := members{"typ": "dpop+jwt", "alg": "ES256", "jwk": jwkOf(f, private.Public())}
	return &client{f, private, jwt.SigningMethodES256, header}
}

// Whatever a client signs: an accepted proof has what RFC 9449 section 4.3 asks for, as another library reads it.
func FuzzCheckSigned(f *testing.F) {
	c := fixedClient(f)
	header, claims := marshal(f, c.header), marshal(f, goodClaims())
	f.Add(header, claims)
	f.Add(marshal(f, c.header.with("crit", []string{})), claims)
	f.Add(marshal(f, c.header.with("jwk", jwkOf(f, c.private))), claims)
	f.Add(header, marshal(f, goodClaims().with("iat", 1e300)))
	f.Add(header, marshal(f, goodClaims().with("htu", "https://api.example/%69tems/1?x#y")))
	f.Add(`{"typ":"dpop+jwt","alg":"none"}`, `null`)
	f.Add(header, marshal(f, goodClaims().with("nonce", "AAAA"+strings.Repeat("\n", 28))))
	f.Fuzz(func(t *testing.T, header, claims string) {
		raw := (&client{t, c.private, c.method, nil}).sign(header, claims)
		got, err := newServer(t, base, "").Check(request("GET", target, raw), access)
		if err != nil {
			return
		}
		signed, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			t.Fatalf("%s: accepted, but go-jose says %v", header, err)
		}
		jwk := signed.Signatures[0].Protected.JSONWebKey
		if jwk == nil || !jwk.IsPublic() {
			t.Fatalf("%s: accepted with the key %v", header, jwk)
		}
		payload, err := signed.Verify(jwk)
		sum, errSum := jwk.Thumbprint(crypto.SHA256)
		if err != nil || errSum != nil || base64.RawURLEncoding.EncodeToString(sum) != got.Thumbprint {
			t.Errorf("%s: %v, %v, thumbprint %s", header, err, errSum, got.Thumbprint)
		}
		var m map[string]any
		if err := json.Unmarshal(payload, &m); err != nil || m["jti"] == "" || m["htm"] != "GET" ||
			m["ath"] != hashOf(access) || m["iat"] == nil {
			t.Errorf("%s: accepted: %v", claims, err)
		}
		if protected := signed.Signatures[0].Protected; protected.ExtraHeaders["crit"] != nil ||
			!slices.Contains(dpop.Algorithms, protected.Algorithm) {
			t.Errorf("%s: accepted", header)
		}
	})
}
