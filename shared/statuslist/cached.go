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

// overlap is the difference of iat up to which two published lists count as issued at the same time.
// Replicas read revocations at different moments, their clocks differ, and iat has a resolution of one
// second, so iat does not show which of the two lists is more complete.
const overlap = token.DefaultLeeway

// olderTimeout is how long responses older than the copy are ignored before they count as failures.
// Replicas drop old revocations at different moments of the same minute, so for a while the list of one
// replica is older than that of another.
const olderTimeout = 2 * time.Minute

var errOlder = errors.New("the response was issued before the current copy: " +
	"a cache or an attacker replays it, or the servers' clocks differ")

// publishedList is a list as one server has signed it.
type publishedList struct {
	Token
	etag   string
	issued time.Time // IssuedAt, but not in the future; orders published lists
}

// newPublishedList returns a list that has just been verified. If the server's clock is ahead, issued is
// limited to about now: later lists from other servers must not look old. ExpiresAt moves by the same
// amount, so the list is not used for longer than the server intended.
func newPublishedList(t Token, etag string, now time.Time) *publishedList {
	p := &publishedList{Token: t, etag: etag, issued: t.IssuedAt}
	if latest := now.Add(token.DefaultLeeway); p.issued.After(latest) {
		p.ExpiresAt = p.ExpiresAt.Add(latest.Sub(p.issued))
		p.issued = latest
	}
	return p
}

// cachedList is the copy of a list: the latest published list, followed by those issued less than
// overlap before it that have other revocations. A token is revoked if any of them says so. A replica
// that lags behind therefore cannot undo a revocation that another one has published.
type cachedList struct {
	lists     []*publishedList // at least one, and about one for each replica
	confirmed time.Time        // when the last one was fetched or found unchanged
}

func (l *cachedList) latest() *publishedList { return l.lists[0] }

// pause returns how long to wait before the next fetch: half the ttl or half the time until exp,
// whichever is shorter. That leaves time to fetch before either is over.
func (l *cachedList) pause(now time.Time) time.Duration {
	pause, latest := fetchInterval, l.latest()
	if latest.TTL > 0 {
		pause = latest.TTL / 2
	}
	return max(min(pause, latest.ExpiresAt.Sub(now)/2), fetchMinInterval)
}

// revoked returns the bit of a copy at an index. The error is errExpired, errKeyEnded or errIndex.
func (c *Client) revoked(l *cachedList, index int64, now time.Time) (bool, error) {
	if err := c.checkUsable(l.latest(), now); err != nil {
		return false, err
	}
	revoked, ok := l.latest().List.Revoked(index)
	if !ok {
		return false, errIndex
	}
	for _, p := range l.lists[1:] {
		bit, _ := p.List.Revoked(index)
		revoked = revoked || bit && c.checkUsable(p, now) == nil
	}
	return revoked, nil
}

// fromFuture reports whether the copy was issued after now. Because of newPublishedList, that happens only
// if this machine's clock has been set back since.
func (l *cachedList) fromFuture(now time.Time) bool {
	return l.latest().issued.After(now.Add(token.DefaultLeeway))
}

// merge adds next to the previous copy and returns the result. The error is errOlder if next is older
// than the copy. A previous copy that is unusable or from the future is ignored.
func (c *Client) merge(before *cachedList, next *publishedList, now time.Time) (*cachedList, error) {
	published := []*publishedList{next}
	if before != nil && !before.fromFuture(now) && c.checkUsable(before.latest(), now) == nil {
		published = append(published, before.lists...)
	}
	slices.SortStableFunc(published, func(a, b *publishedList) int { return b.issued.Compare(a.issued) })
	latest := published[0]
	if latest.issued.Sub(next.issued) > overlap {
		return nil, errOlder
	}
	merged := &cachedList{confirmed: now}
	var lists []*List
	for _, p := range published {
		if p == latest || latest.issued.Sub(p.issued) <= overlap && !p.List.subsetOf(lists) {
			merged.lists, lists = append(merged.lists, p), append(lists, p.List)
		}
	}
	return merged, nil
}

// checkUsable returns errExpired or errKeyEnded if the list must not be used.
func (c *Client) checkUsable(p *publishedList, now time.Time) error {
	if !now.Before(p.ExpiresAt.Add(token.DefaultLeeway)) {
		return errExpired
	}
	if !c.keyVerifies(p.Key, now) {
		return errKeyEnded
	}
	return nil
}

// keyVerifies reports whether the current ring has the key, or an equal one, and it still verifies. After
// the keys are reloaded, the ring has equal keys, and the list need not be fetched again.
func (c *Client) keyVerifies(key *keyring.Key, now time.Time) bool {
	ring := c.cfg.Keys.Current()
	if ring.Verifies(key, now) {
		return true
	}
	current, ok := ring.Verifier(key.ID, now)
	return ok && equalKeys(current, key)
}

// equalKeys reports whether both keys verify the same signatures.
func equalKeys(a, b *keyring.Key) bool {
	if a.Algorithm != b.Algorithm || a.Audience != b.Audience {
		return false
	}
	if a.Algorithm == keyring.HS256 {
		return bytes.Equal(a.Secret(), b.Secret())
	}
	public, ok := a.VerificationKey().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(b.VerificationKey())
}
