// Package passkeytest has a device that keeps a passkey, for tests: it answers as a browser with an authenticator does
// (Web Authentication Level 3), and can be told to answer wrongly.
package passkeytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"testing"
)

// Flags of authenticator data (section 6.1).
const (
	UserPresent    = 0x01
	UserVerified   = 0x04
	BackupEligible = 0x08
	BackedUp       = 0x10

	hasCredential = 0x40
)

// Device keeps one passkey. Tests change its fields. It is not safe for concurrent use.
type Device struct {
	// Origin is the page that asks, RPID the domain that the passkey is for.
	Origin, RPID string
	// Flags are set in the authenticator data of every answer.
	Flags byte
	// Counter is the signature counter of the next answer, and Step what it then grows by; 0 for a device without one.
	Counter, Step uint32
	// ID is the credential ID, UserHandle the user of it.
	ID, UserHandle []byte
	// ClientData, if it is set, changes the client data before it is signed.
	ClientData func(map[string]any)

	t   testing.TB
	key *ecdsa.PrivateKey
}

// New returns a device that verifies its user and counts, at a page of the origin, for the domain.
func New(t testing.TB, origin, rpID string) *Device {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id := make([]byte, 32)
	_, _ = rand.Read(id) // it never fails
	return &Device{
		Origin: origin, RPID: rpID, Flags: UserPresent | UserVerified, Counter: 1, Step: 1, ID: id, t: t, key: key,
	}
}

// options are the parts of the options that the device reads.
type options struct {
	Challenge string `json:"challenge"`
	User      struct {
		ID string `json:"id"`
	} `json:"user"`
}

func (d *Device) read(text string) (o options) {
	d.t.Helper()
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		d.t.Fatalf("options %q: %v", text, err)
	}
	return o
}

// Create answers the options of a registration.
func (d *Device) Create(text string) string {
	d.t.Helper()
	o := d.read(text)
	handle, err := base64.RawURLEncoding.DecodeString(o.User.ID)
	if err != nil {
		d.t.Fatal(err)
	}
	d.UserHandle = handle
	data := append(d.authData(hasCredential), make([]byte, 16)...) // an AAGUID of zeros
	data = append(append(append(data, size(d.ID)...), d.ID...), d.coseKey()...)
	// The map {"fmt": "none", "attStmt": {}, "authData": data} in CBOR (RFC 8949).
	object := append([]byte("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59"), size(data)...)
	return d.answer(map[string]any{
		"clientDataJSON":    encode(d.clientData("webauthn.create", o.Challenge)),
		"attestationObject": encode(append(object, data...)),
		"transports":        []string{"internal", "hybrid", "unheard-of"},
	})
}

// Get answers the options of a login.
func (d *Device) Get(text string) string {
	d.t.Helper()
	client, data := d.clientData("webauthn.get", d.read(text).Challenge), d.authData(0)
	hash := sha256.Sum256(client)
	signed := sha256.Sum256(append(data[:len(data):len(data)], hash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, d.key, signed[:])
	if err != nil {
		d.t.Fatal(err)
	}
	return d.answer(map[string]any{
		"clientDataJSON": encode(client), "authenticatorData": encode(data), "signature": encode(signature),
		"userHandle": encode(d.UserHandle),
	})
}

func (d *Device) answer(response map[string]any) string {
	return string(d.json(map[string]any{
		"id": encode(d.ID), "rawId": encode(d.ID), "type": "public-key", "response": response,
		"clientExtensionResults": map[string]any{},
	}))
}

func (d *Device) clientData(ceremony, challenge string) []byte {
	data := map[string]any{"type": ceremony, "challenge": challenge, "origin": d.Origin, "crossOrigin": false}
	if d.ClientData != nil {
		d.ClientData(data)
	}
	return d.json(data)
}

// authData returns authenticator data without a credential.
func (d *Device) authData(more byte) []byte {
	hash := sha256.Sum256([]byte(d.RPID))
	data := binary.BigEndian.AppendUint32(append(hash[:], d.Flags|more), d.Counter)
	d.Counter += d.Step
	return data
}

// coseKey returns the public key as a COSE_Key (RFC 9053 section 7.1.1): {1: 2, 3: -7, -1: 1, -2: x, -3: y}.
func (d *Device) coseKey() []byte {
	point, err := d.key.PublicKey.Bytes()
	if err != nil {
		d.t.Fatal(err)
	}
	key := append([]byte{0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32}, point[1:33]...)
	return append(append(key, 0x22, 0x58, 32), point[33:]...)
}

func (d *Device) json(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		d.t.Fatal(err)
	}
	return text
}

// size returns the length of data in two bytes.
func size(data []byte) []byte {
	return binary.BigEndian.AppendUint16(nil, uint16(len(data))) //nolint:gosec // tests have no more
}

func encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }
