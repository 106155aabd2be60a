package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// errAssertionUsed wraps record.ErrExists.
var errAssertionUsed = fmt.Errorf("use of the assertion %w", record.ErrExists)

// insertAssertion records the use of an assertion.
const insertAssertion = "INSERT INTO used_assertions (digest, expires_at) VALUES ($1, $2) " +
	"ON CONFLICT (digest) DO NOTHING"

// UseAssertion records the use of an assertion until it expires, and deletes a few that have
// expired. It returns record.ErrExists if the assertion was used before, at any server of the
// database.
func (s *Store) UseAssertion(ctx context.Context, digest string, expires, now time.Time) error {
	err := s.execOne(ctx, "use assertion", errAssertionUsed, insertAssertion, digest, seconds(expires))
	if err != nil {
		return err
	}
	s.sweepAfter(ctx, expiringUsedAssertions, now)
	return nil
}

// assertionText returns what is stored of what a client's assertions must be.
func assertionText(a client.Assertion) string {
	if !a.Enabled() {
		return ""
	}
	text, _ := json.Marshal(a) // of texts, which cannot fail
	return string(text)
}

// assertionOf is the inverse of assertionText.
func assertionOf(text string) (a client.Assertion) {
	if text != "" {
		_ = json.Unmarshal([]byte(text), &a) // assertionText wrote it
	}
	return a
}
