package store

import (
	"context"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
)

// useChallenge records the use of a challenge until it expires, among the assertions of clients, and deletes a few
// that have expired. It returns secondfactor.ErrIncorrect if the challenge was used before, at any server of the
// database. It does nothing for the zero Challenge.
func (s *Store) useChallenge(ctx context.Context, tx transaction, c secondfactor.Challenge, now time.Time) error {
	if c.Digest == "" {
		return nil
	}
	err := changedOne(ctx, tx, "use challenge", secondfactor.ErrIncorrect,
		insertAssertion, c.Digest, seconds(c.ExpiresAt))
	if err != nil {
		return err
	}
	return s.sweepSome(ctx, tx, expiringUsedAssertions, now)
}

// MarkPasskey replaces the secret of a factor, if it still is old, because there is a copy of the passkey, and asks for
// a mail to the user. It does nothing if the factor was marked, used or removed meanwhile. It returns
// secondfactor.ErrIncorrect if the challenge was used before: then the same answer has come twice.
func (s *Store) MarkPasskey(
	ctx context.Context,
	f secondfactor.Factor,
	old string,
	c secondfactor.Challenge,
	now time.Time,
) error {
	return s.inTx(ctx, "mark passkey", func(ctx context.Context, tx transaction) error {
		if err := s.useChallenge(ctx, tx, c, now); err != nil {
			return err
		}
		n, err := changed(ctx, tx, "mark passkey",
			"UPDATE second_factors SET secret = $3 WHERE id = $1 AND secret = $2", f.ID, old, f.Secret)
		if err != nil || n == 0 {
			return err
		}
		if err := auditUser(ctx, tx, "passkey_copied", f.UserID, now); err != nil {
			return err
		}
		return s.addMail(ctx, tx, mail.Request{Kind: mail.PasskeyCopied, UserID: f.UserID, CreatedAt: now})
	})
}
