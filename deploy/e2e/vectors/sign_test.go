package vectors_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// object is a JSON object.
type object = map[string]any

// base64url encodes a part of a JWS.
func base64url(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// signingKeys returns the private keys of the vectors by their ids.
var signingKeys = sync.OnceValues(func() (map[string]jose.JSONWebKey, error) {
	text, err := os.ReadFile(filepath.Join(folder, "keys.json"))
	if err != nil {
		return nil, err
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, err
	}
	keys := map[string]jose.JSONWebKey{}
	for _, key := range set.Keys {
		keys[key.KeyID] = key
	}
	return keys, nil
})

// signingKey returns a private key of the vectors.
func signingKey(t *testing.T, id string) jose.JSONWebKey {
	t.Helper()
	keys, err := signingKeys()
	if err != nil {
		t.Fatal(err)
	}
	key, ok := keys[id]
	if !ok {
		t.Fatalf("keys.json has no key %s", id)
	}
	return key
}

// textKey returns the key of a shared secret that is given as text, with the id that is derived from it.
func textKey(t *testing.T) jose.JSONWebKey {
	t.Helper()
	ring, err := keyring.FromSecret(tokenSecret)
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: []byte(tokenSecret), KeyID: ring.Keys()[0].ID}
}

// jwk returns the public half of a key, or the whole secret, with further members.
func jwk(t *testing.T, id string, members object) object {
	t.Helper()
	key := signingKey(t, id)
	if !key.IsPublic() && key.Public().Key != nil {
		key = key.Public()
	}
	return with(members, toObject(t, key))
}

// privateJWK returns a key with its private half.
func privateJWK(t *testing.T, id string) object {
	t.Helper()
	return toObject(t, signingKey(t, id))
}

func toObject(t *testing.T, v any) object {
	t.Helper()
	var o object
	if err := json.Unmarshal(toJSON(t, v), &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func toJSON(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// with returns the members of all objects; the first one that has a member decides. A nil member is left out.
func with(objects ...object) object {
	all := object{}
	for i := len(objects) - 1; i >= 0; i-- {
		maps.Copy(all, objects[i])
	}
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	return all
}

// set returns the text of a JWK Set.
func set(t *testing.T, keys ...object) string {
	t.Helper()
	return string(toJSON(t, object{"keys": keys}))
}

// algorithm returns the algorithm of a key.
func algorithm(key jose.JSONWebKey) string {
	switch key.Key.(type) {
	case ed25519.PrivateKey:
		return "EdDSA"
	case *ecdsa.PrivateKey:
		return "ES256"
	case *rsa.PrivateKey:
		return "RS256"
	}
	return "HS256"
}

// signature returns the signature of a text. It is the same each time, also for ES256 (RFC 6979).
func signature(t *testing.T, key any, text string) []byte {
	t.Helper()
	digest := sha256.Sum256([]byte(text))
	var signed []byte
	var err error
	switch k := key.(type) {
	case []byte:
		mac := hmac.New(sha256.New, k)
		mac.Write([]byte(text))
		return mac.Sum(nil)
	case ed25519.PrivateKey:
		return ed25519.Sign(k, []byte(text))
	case *rsa.PrivateKey:
		signed, err = rsa.SignPKCS1v15(nil, k, crypto.SHA256, digest[:])
	case *ecdsa.PrivateKey:
		signed, err = k.Sign(nil, digest[:], crypto.SHA256)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// jws returns the header and the payload, signed with a key.
func jws(t *testing.T, key jose.JSONWebKey, header, payload []byte) string {
	t.Helper()
	text := base64url(header) + "." + base64url(payload)
	signed := signature(t, key.Key, text)
	if algorithm(key) == "ES256" {
		var number struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(signed, &number); err != nil {
			t.Fatal(err)
		}
		signed = append(number.R.FillBytes(make([]byte, 32)), number.S.FillBytes(make([]byte, 32))...)
	}
	return text + "." + base64url(signed)
}

// header returns the JOSE header of an access token, with changed members.
func header(t *testing.T, key string, changed object) []byte {
	t.Helper()
	return toJSON(t, with(changed, object{"typ": "at+jwt", "kid": key, "alg": algorithm(signingKey(t, key))}))
}

// payload returns the claims of an access token, with changed ones.
func payload(t *testing.T, changed object) []byte {
	t.Helper()
	return toJSON(t, with(changed, object{
		"iss": issuer, "sub": "usr_1", "aud": []string{audience}, "client_id": "web", "jti": "token 1",
		"iat": now - 60, "exp": now + 1740, "scope": "profile items:read",
		"preferred_username": "john.doe", "name": "John Doe", "status": status(1, listURI),
	}))
}

// status returns the claim status.
func status(index, uri any) object {
	return object{"status_list": with(object{"idx": index, "uri": uri})}
}

// accessToken returns an access token with changed header members and claims.
func accessToken(t *testing.T, key string, changedHeader, changedClaims object) string {
	t.Helper()
	return jws(t, signingKey(t, key), header(t, key, changedHeader), payload(t, changedClaims))
}
