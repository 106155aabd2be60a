package keyring

import (
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
)

// Derive returns a key of 32 bytes that follows from the key's secret or private half and from info, which says what
// it is for (HKDF, RFC 5869). Nothing about the key follows from it, nor from it anything about keys with another
// info. The error is ErrNoKey if the ring has only the public half.
func (k *Key) Derive(info string) ([]byte, error) {
	material := k.secret
	if material == nil {
		if k.private == nil {
			return nil, fmt.Errorf("%w: key %s has no private half", ErrNoKey, k.ID)
		}
		var err error
		if material, err = x509.MarshalPKCS8PrivateKey(k.private); err != nil {
			return nil, fmt.Errorf("%w: key %s: %w", ErrBadRing, k.ID, err)
		}
	}
	return hkdf.Key(sha256.New, material, nil, info, sha256.Size)
}
