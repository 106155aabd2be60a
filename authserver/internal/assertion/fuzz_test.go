package assertion_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"

	"github.com/hallpass-auth/hallpass/authserver/internal/assertion"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/outbound"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

func TestMain(m *testing.M) { databasetest.Main(m) }

const audience = "https://login.example"

// now is the time of these tests.
var now = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// private is the key of the client, the same in every process of a fuzz test.
var private = func() ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("the key of the fuzz tests"))
	return ed25519.NewKeyFromSeed(seed[:])
}()

// newVerifier returns a verifier with a database of its own, and a client that signs assertions.
func newVerifier(f *testing.F) (*assertion.Verifier, client.Client) {
	f.Helper()
	data, err := store.Open(f.Context(), "sqlite:"+filepath.Join(f.TempDir(), "hallpass.db"), databasetest.Pool)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = data.Close() })
	if _, err := data.Migrate(f.Context()); err != nil {
		f.Fatal(err)
	}
	clock := func() time.Time { return now }
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: private.Public(), KeyID: "k"}}})
	if err != nil {
		f.Fatal(err)
	}
	guard := outbound.New(outbound.Config{Now: clock, Log: slog.New(slog.DiscardHandler)})
	v := assertion.New(assertion.Config{Audiences: []string{audience}, Guard: guard, Store: data, Now: clock})
	return v, client.Client{ID: "app", Assertion: client.Assertion{JWKS: string(set)}}
}

// sign returns a JWS in compact serialization with this header and payload, whatever they are.
func sign(header, payload string) string {
	encode := base64.RawURLEncoding.EncodeToString
	input := encode([]byte(header)) + "." + encode([]byte(payload))
	return input + "." + encode(ed25519.Sign(private, []byte(input)))
}

// payload returns the claims of a valid assertion, with one changed.
func payload(name string, value any) string {
	claims := map[string]any{"iss": "app", "sub": "app", "aud": audience, "jti": "1",
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}
	claims[name] = value
	text, _ := json.Marshal(claims)
	return string(text)
}

const header = `{"alg":"EdDSA","typ":"JWT","kid":"k"}`

// Only the assertion that the client has signed is accepted, byte for byte, and once (RFC 7523 section 3).
func FuzzVerify(f *testing.F) {
	good := sign(header, payload("jti", "1"))
	for _, text := range []string{good, good + ".", good + "=", good[1:], "", "..", "\n" + good, sign("", "")} {
		f.Add(text)
	}
	v, c := newVerifier(f)
	if err := v.Verify(f.Context(), c, good); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if err := v.Verify(t.Context(), c, text); !errors.Is(err, assertion.ErrInvalid) {
			t.Errorf("%q: %v, want ErrInvalid", text, err)
		}
		if id := assertion.ClientID(text); len(id) > len(text) {
			t.Errorf("%q: client %q", text, id)
		}
	})
}

// Whatever the client signs: another library reads an accepted assertion as one for this server, by this client, of
// now, and it is refused the second time (RFC 7523 section 3).
func FuzzVerifySigned(f *testing.F) {
	f.Add(header, payload("jti", "1"))
	for _, change := range []struct {
		name  string
		value any
	}{
		{"exp", 1e300}, {"exp", -1}, {"exp", "soon"}, {"iat", now.Add(time.Hour).Unix()}, {"nbf", 1.5e9},
		{"aud", []string{audience, "https://other.example"}}, {"aud", []any{audience, 1}}, {"aud", nil}, {"jti", ""},
		{"iss", "App"}, {"sub", nil}, {"ISS", "app"},
	} {
		f.Add(header, payload(change.name, change.value))
	}
	f.Add(`{"alg":"EdDSA","crit":[]}`, payload("jti", "2"))
	f.Add(`{"alg":"EdDSA","typ":"at+jwt"}`, payload("jti", "3"))
	f.Add(`{"alg":"EdDSA","b64":false}`, payload("jti", "4"))
	f.Add(`{"alg":"none"}`, `null`)
	v, c := newVerifier(f)
	f.Fuzz(func(t *testing.T, header, payload string) {
		raw := sign(header, payload)
		if v.Verify(t.Context(), c, raw) != nil {
			return
		}
		var claims jwt.RegisteredClaims
		parser := jwt.NewParser(jwt.WithValidMethods([]string{"EdDSA"}), jwt.WithIssuer(c.ID), jwt.WithSubject(c.ID),
			jwt.WithAudience(audience), jwt.WithExpirationRequired(), jwt.WithLeeway(time.Minute),
			jwt.WithIssuedAt(), jwt.WithTimeFunc(func() time.Time { return now }))
		token, err := parser.ParseWithClaims(raw, &claims, func(*jwt.Token) (any, error) { return private.Public(), nil })
		if err != nil || len(claims.Audience) != 1 || claims.ID == "" || token.Header["crit"] != nil ||
			claims.ExpiresAt.After(now.Add(6*time.Minute)) {
			t.Errorf("%s %s: accepted: %v", header, payload, err)
		}
		if err := v.Verify(t.Context(), c, raw); !errors.Is(err, assertion.ErrInvalid) {
			t.Errorf("%s: used twice: %v", payload, err)
		}
	})
}
