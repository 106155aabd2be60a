package keyring

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"
)

// minRSA is the minimum size of an RSA key, in bits (RFC 7518 section 3.3), generatedRSA the size of
// new ones. Those for ID tokens have idTokenRSA bits: every client supports that, and signing takes a third
// of the time.
const (
	minRSA       = 2048
	generatedRSA = 3072
	idTokenRSA   = 2048
)

// material is the cryptographic part of a key: a secret, or a public key with or without its private
// half.
type material struct {
	secret  []byte
	private crypto.Signer
	public  crypto.PublicKey
}

// materialOf returns the material of a parsed JWK and the algorithm that goes with its type.
func materialOf(key any) (algorithm string, m material, err error) {
	switch k := key.(type) {
	case []byte:
		return HS256, material{secret: k}, nil
	case ed25519.PrivateKey:
		return EdDSA, material{private: k, public: k.Public()}, nil
	case ed25519.PublicKey:
		return EdDSA, material{public: k}, nil
	case *ecdsa.PrivateKey:
		return ES256, material{private: k, public: &k.PublicKey}, checkCurve(&k.PublicKey)
	case *ecdsa.PublicKey:
		return ES256, material{public: k}, checkCurve(k)
	case *rsa.PrivateKey:
		return RS256, material{private: k, public: &k.PublicKey}, checkRSA(&k.PublicKey)
	case *rsa.PublicKey:
		return RS256, material{public: k}, checkRSA(k)
	}
	return "", material{}, fmt.Errorf("%w: its type is not supported", ErrBadRing)
}

func checkCurve(k *ecdsa.PublicKey) error {
	if k.Curve != elliptic.P256() {
		return fmt.Errorf("%w: its curve is not P-256", ErrBadRing)
	}
	return nil
}

func checkRSA(k *rsa.PublicKey) error {
	if k.N.BitLen() < minRSA {
		return fmt.Errorf("%w: it is an RSA key of %d bits, RS256 needs %d", ErrWeakKey, k.N.BitLen(), minRSA)
	}
	return nil
}
