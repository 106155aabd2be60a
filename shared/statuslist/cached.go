package statuslist

import (
	"bytes"
	"crypto"
	"errors"
	"slices"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// overlap is how much apart two forms may be issued and yet be taken for contemporaries.
// Servers look at what is revoked at different moments, by clocks that differ, and iat has
// a resolution of a second: which of the two knows more cannot be told from it.
const overlap = token.DefaultLeeway

// patience is how long answers older than the held copy are tolerated silently.
// Servers drop what was revoked long ago, each at another moment of the same minute; until
// then what one of them says is older than what the other has said.
const patience = 2 * time.Minute

var errOlder = errors.New("the answer was issued before the copy that is held: a cache or somebody in between repeats it, or the clocks of servers differ")

// form is one signed form of a list.
type form struct {
	Token
	key    *keyring.Key // that it was verified with
	etag   string
	issued time.Time // what it is compared by: IssuedAt, but not in the future
}

// newForm returns a form that has just been verified. A server whose clock is far ahead
// must not make all that is issued when it has been set right look old.
func newForm(t Token, key *keyring.Key, etag string, now time.Time) *form {
	f := &form{Token: t, key: key, etag: etag, issued: t.IssuedAt}
	if latest := now.Add(token.DefaultLeeway); f.issued.After(latest) {
		f.issued = latest
	}
	return f
}

// held is a copy of a list: the latest form of it first, and then those issued little
// earlier that say something more. What any of them calls revoked is revoked: a server
// that is behind others cannot undo what they have said already. An earlier one is given
// up when a form comes that was issued more than overlap later, and so nothing that the
// server does not say any more can last longer than its forms do.
type held struct {
	forms     []*form   // at least one; seldom more, and hardly more than there are servers
	confirmed time.Time // when one was fetched, or last found to be unchanged
}

func (h *held) latest() *form { return h.forms[0] }

// pause is how long to wait before the next fetch. A copy is to be neither older than its
// ttl nor past its exp, and fetching takes a while, so half of either has to do.
func (h *held) pause(now time.Time) time.Duration {
	pause, latest := fetchPause, h.latest()
	if latest.TTL > 0 {
		pause = latest.TTL / 2
	}
	return max(min(pause, latest.ExpiresAt.Sub(now)/2), fetchAtLeast)
}

// bit returns what a copy says about an index; the error is errExpired, errEnded or errIndex.
func (c *Client) bit(h *held, index int64, now time.Time) (bool, error) {
	if err := c.inForce(h.latest(), now); err != nil {
		return false, err
	}
	revoked, ok := h.latest().List.Revoked(index)
	if !ok {
		return false, errIndex
	}
	for _, f := range h.forms[1:] {
		bit, _ := f.List.Revoked(index)
		revoked = revoked || bit && c.inForce(f, now) == nil
	}
	return revoked, nil
}

// join returns the copy to hold when a form has come, or errOlder where that is older than
// the copy of before. One that is not in force any more does not count.
func (c *Client) join(before *held, next *form, now time.Time) (*held, error) {
	forms := []*form{next}
	if before != nil && c.inForce(before.latest(), now) == nil {
		forms = append(forms, before.forms...)
	}
	slices.SortStableFunc(forms, func(a, b *form) int { return b.issued.Compare(a.issued) })
	latest := forms[0]
	if latest.issued.Sub(next.issued) > overlap {
		return nil, errOlder
	}
	h := &held{confirmed: now}
	var lists []*List
	for _, f := range forms {
		if f == latest || latest.issued.Sub(f.issued) <= overlap && !f.List.within(lists) {
			h.forms, lists = append(h.forms, f), append(lists, f.List)
		}
	}
	return h, nil
}

// inForce returns why a form does not answer: errExpired, errEnded, or nil if it does.
func (c *Client) inForce(f *form, now time.Time) error {
	if !now.Before(f.ExpiresAt.Add(token.DefaultLeeway)) {
		return errExpired
	}
	if !c.keyAlive(f.key, now) {
		return errEnded
	}
	return nil
}

// keyAlive reports whether a key is in the current ring and still verifies. Unlike a token,
// which is just verified again, a list would have to be fetched again; so it is enough that
// the key is the same to look at, as it is when others were added to the file beside it.
func (c *Client) keyAlive(key *keyring.Key, now time.Time) bool {
	ring := c.cfg.Keys.Current()
	if ring.Verifies(key, now) {
		return true
	}
	current, ok := ring.Verifier(key.ID, now)
	return ok && sameKey(current, key)
}

// sameKey reports whether both keys verify the same.
func sameKey(a, b *keyring.Key) bool {
	if a.Algorithm != b.Algorithm || a.Audience != b.Audience {
		return false
	}
	if a.Algorithm == keyring.HS256 {
		return bytes.Equal(a.Secret(), b.Secret())
	}
	public, ok := a.VerificationKey().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(b.VerificationKey())
}
