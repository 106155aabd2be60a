package passkey

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// keyInfo separates the key of challenges from other uses of Config.Key.
const keyInfo = "hallpass challenges of passkeys"

// Sizes of the parts of a challenge, in bytes: random ones, the end in Unix seconds, and the MAC.
const (
	nonceSize = 16
	endSize   = 8
	bodySize  = nonceSize + endSize
)

var base64url = base64.RawURLEncoding.Strict()

// challenges makes and checks challenges, which the server does not store (section 13.4.3).
type challenges struct {
	key    []byte
	now    func() time.Time
	random io.Reader
}

func newChallenges(cfg Config) (challenges, error) {
	key, err := hkdf.Key(sha256.New, cfg.Key, nil, keyInfo, sha256.Size)
	return challenges{key: key, now: cfg.Now, random: cfg.Random}, err
}

// purpose is what a challenge is for: one ceremony of one browser.
type purpose struct {
	ceremony string // what the passkey is for, and whose it is
	browser  string // digest of a secret that only the browser has
}

// mac returns the MAC of the random part and the end of a challenge.
func (c challenges) mac(body []byte, p purpose) []byte {
	mac := hmac.New(sha256.New, c.key)
	fmt.Fprintf(mac, "%d %s %d %s ", len(p.ceremony), p.ceremony, len(p.browser), p.browser)
	mac.Write(body)
	return mac.Sum(nil)
}

// issue returns a new challenge.
func (c challenges) issue(p purpose) ([]byte, error) {
	body := make([]byte, nonceSize, bodySize+sha256.Size)
	if _, err := io.ReadFull(c.random, body); err != nil {
		return nil, fmt.Errorf("making a challenge: %w", err)
	}
	end := c.now().Add(ChallengeLifetime).Unix()
	body = binary.BigEndian.AppendUint64(body, uint64(max(end, 0)))
	return append(body, c.mac(body, p)...), nil
}

// check returns what is recorded of a challenge when it is used. It returns ErrExpired unless issue has returned the
// challenge for the purpose within the last minutes.
func (c challenges) check(text string, p purpose) (secondfactor.Challenge, error) {
	raw, err := base64url.DecodeString(text)
	if err != nil || len(raw) != bodySize+sha256.Size || !hmac.Equal(raw[bodySize:], c.mac(raw[:bodySize], p)) {
		return secondfactor.Challenge{}, ErrExpired
	}
	end := time.Unix(int64(binary.BigEndian.Uint64(raw[nonceSize:bodySize])), 0) //nolint:gosec // issue wrote it
	if now := c.now(); !now.Before(end) || end.Sub(now) > 2*ChallengeLifetime {
		return secondfactor.Challenge{}, ErrExpired
	}
	return secondfactor.Challenge{Digest: secret.Digest("challenge of a passkey " + text), ExpiresAt: end}, nil
}
