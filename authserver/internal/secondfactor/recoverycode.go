package secondfactor

import (
	"encoding/base32"
	"fmt"
	"io"
	"strings"

	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// recoveryBytes is how many random bytes a recovery code has: 80 bits, too many to guess even with its digest.
const recoveryBytes = 10

// maxTypedCode bounds what somebody types as a code, in bytes.
const maxTypedCode = 64

// crockford has no letters that look like digits or like each other (https://www.crockford.com/base32.html).
var crockford = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// newRecoveryCodes returns new recovery codes for a user, as they are shown, and their digests. The error is that of
// random.
func newRecoveryCodes(random io.Reader, userID string) (codes, digests []string, err error) {
	for range recoveryCodes {
		raw := make([]byte, recoveryBytes)
		if _, err := io.ReadFull(random, raw); err != nil {
			return nil, nil, fmt.Errorf("making a recovery code: %w", err)
		}
		code := crockford.EncodeToString(raw)
		digests = append(digests, recoveryDigest(userID, code))
		codes = append(codes, code[:4]+"-"+code[4:8]+"-"+code[8:12]+"-"+code[12:])
	}
	return codes, digests, nil
}

// recoveryDigest returns what is stored of a recovery code, however it is typed: case, hyphens and spaces do not
// matter, nor do the letters that are read as the digits 0 and 1.
func recoveryDigest(userID, typed string) string {
	code := strings.NewReplacer("-", "", " ", "", "o", "0", "i", "1", "l", "1").Replace(strings.ToLower(typed))
	return secret.Digest("recovery code of " + userID + "\x00" + code)
}

// publicID returns the identifier of a pending login in forms, given its digest.
func publicID(digest string) string { return secret.Digest("pending login " + digest) }
