package account

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// try is an attempt in progress.
type try struct {
	Attempt
	user   User   // whose name it is; the zero User if unknown
	digest []byte // of the username
	key    FailureKey
}

// newTry finds the user and what failures are counted under: the user, however the name is
// spelled, or a digest of the unknown name.
func (l *Login) newTry(ctx context.Context, a Attempt) (try, error) {
	names := spellings(a.Username)
	t := try{Attempt: a, digest: l.nameDigest(names[len(names)-1])}
	var err error
	if t.user, err = l.find(ctx, a.Username); err != nil {
		return t, err
	}
	account := t.user.ID
	if account == "" {
		account = "unknown " + string(t.digest)
	}
	t.key, err = l.keyOf(ctx, a, account, t.user)
	return t, err
}

// find returns the user whose username or verified email address was typed, or the zero User if nobody has it. The
// username comes first: those of earlier versions can have an @. An address that two users have verified finds nobody.
// It asks the same of the store whatever it finds, so that the time does not tell who has an account.
func (l *Login) find(ctx context.Context, typed string) (found User, err error) {
	for _, name := range spellings(typed) {
		user, err := l.Store.UserByUsername(ctx, name)
		if err != nil && !errors.Is(err, record.ErrNotFound) {
			return User{}, err
		}
		if err == nil && found.ID == "" {
			found = user
		}
	}
	if !strings.Contains(typed, "@") {
		return found, nil
	}
	owners, err := l.Store.UsersByEmail(ctx, FoldEmail(typed), 2)
	if err == nil && found.ID == "" && len(owners) == 1 {
		found = owners[0]
	}
	return found, err
}

// keyOf returns what the failures of an attempt are counted under. It does the same work for an unknown account.
func (l *Login) keyOf(ctx context.Context, a Attempt, account string, user User) (key FailureKey, err error) {
	key = NewFailureKey(account, a.Address)
	if l.Knows(a.Browser, user) {
		key = key.inBrowser(account, a.Browser.id)
	}
	if !a.OfService {
		key = key.from(account, a.Address)
	}
	key.Returning = !user.LastLoginAt.IsZero() && l.Now().Sub(user.LastLoginAt) > returnsAfter
	key.AddressKnown, err = l.Store.KnowsAddress(ctx, cmp.Or(user.ID, nobody), key, l.Now())
	return key, err
}

// nameDigest returns the keyed digest of a username.
func (l *Login) nameDigest(username string) []byte {
	mac := hmac.New(sha256.New, l.NameKey)
	mac.Write([]byte(username))
	return mac.Sum(nil)
}

// NameDigest returns the keyed digest of a name that somebody has typed, as text. All servers of a database have the
// same key.
func (l *Login) NameDigest(name string) string {
	return base64.RawURLEncoding.EncodeToString(l.nameDigest(name))
}
