// Package revocation publishes which grants are revoked. It is the Status Provider of the
// Token Status List specification (draft-ietf-oauth-status-list).
//
// Any number of APIs may ask for the lists several times a second. A Provider queries the
// store for new revocations at most five times a second, however many ask, and compresses and
// signs a list again only if one of its bits has changed or its signature is getting old.
//
// Requests wait for an update that runs on its own: an update may take longer than a client
// waits, and must not end with the request that started it.
//
// While the database is down, a Provider publishes what it knows, with the times of the last
// update: an API that starts meanwhile needs the lists, and nothing can be revoked. One that
// has never read the revocations has nothing to publish.
package revocation

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/statuslist"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// listTTL is how old a copy of a list may get before it should be fetched again. A second, so
// that a revocation is in force everywhere within about a second.
const listTTL = time.Second

// retention is how long a revoked grant stays in a list: a little longer than an access token
// may live.
const retention = grant.MaxTokenLifetime + time.Minute

// ErrNotFound says that there is no such list: none of its grants has been made yet, or its
// API has no key, or is not registered and was not a day ago.
var ErrNotFound = errors.New("no such status list")

// Grants finds revoked grants. It is safe for concurrent use.
type Grants interface {
	// RevokedAfter returns the numbers of revoked grants, ordered by the time of revocation
	// and then by number: at most limit of those that come after this second and number, and
	// the time at which the last of them was revoked.
	RevokedAfter(ctx context.Context, at time.Time, number int64, limit int) (numbers []int64, last time.Time, err error)
	// LastGrant returns the highest number of a grant, or zero without grants.
	LastGrant(ctx context.Context) (int64, error)
	// Epochs returns the names of the epochs after the unnamed first one, oldest first.
	Epochs(ctx context.Context) ([]string, error)
}

// APIs finds the APIs that have lists. It is safe for concurrent use.
type APIs interface {
	// Audiences returns the audiences of all registered APIs, mapped to true, and of those
	// that were deleted at that second or later, mapped to false.
	Audiences(ctx context.Context, deletedSince time.Time) (map[string]bool, error)
}

// Config configures a Provider. All fields but Log are required.
type Config struct {
	// Lifetime is the lifetime of an access token. A list is valid for half as long again:
	// an API that can no longer fetch it accepts the tokens it knows until they expire. It is
	// not valid for longer, because for that long an attacker who cuts off an API can keep
	// revocations from it. After that the API responds with 503.
	Lifetime time.Duration
	// Lists knows the URIs of lists.
	Lists grant.Lists
	// Grants has the revoked grants, APIs the APIs.
	Grants Grants
	APIs   APIs
	// Signer signs the tokens that point at the lists. A list is signed with the same key.
	Signer *token.Signer
	// Now is the clock.
	Now func() time.Time
	// Published, unless nil, is called with how many more grants the lists call revoked, and with how long ago the
	// newest of them was revoked: the time since the beginning of that second. It must return at once.
	Published func(grants int, delay time.Duration)
	// Log gets errors of updates that no request waits for; nil means that nothing is logged.
	Log *slog.Logger
}

// SignedList is a published list.
type SignedList struct {
	// Token is the Status List Token.
	Token string
	// Gzip is the token compressed with gzip. The bits are in base64url twice, which takes 16 bytes for 9: gzip makes it
	// a quarter smaller.
	Gzip string
	// ETag is a weak entity tag. Lists that say the same and expire at about the same time
	// have the same tag, whichever server has signed them.
	ETag string

	key    *keyring.Key
	period int64
}

// Provider signs and publishes lists. It is safe for concurrent use.
type Provider struct {
	cfg Config

	mu      sync.Mutex                 // never held during a query
	update  *update                    // the last one, which may be running; nil before the first
	updated time.Time                  // when the last successful update began
	failing bool                       // whether the last update failed
	full    span                       // the last time that all revocations were read, or that was tried
	last    int64                      // the highest number of a grant
	epochs  []string                   // after the first, as of the bits
	apis    map[string]bool            // audiences that have lists; false for a deleted API; nil before the first update
	bits    map[int64]*statuslist.List // by number, if a grant is revoked; nil until all have been read
	next    map[int64]*statuslist.List // the same, while all are read again; else nil
	signed  map[grant.List]SignedList  // of the current bits
}

// NewProvider returns a provider.
func NewProvider(cfg Config) *Provider {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Provider{cfg: cfg}
}

// List returns a signed list, or ErrNotFound. It has every revocation that was stored 200
// milliseconds ago. If the database takes more than half of that to return what is new, it
// has those that were stored twice as long ago as that takes. While the database is down, it
// is as of the last update, for as long as the list is valid.
func (p *Provider) List(ctx context.Context, l grant.List) (SignedList, error) {
	err := p.refresh(ctx, l)
	p.mu.Lock()
	defer p.mu.Unlock()
	now, err := p.asOf(err)
	if err != nil {
		return SignedList{}, err
	}
	if !p.has(l) {
		return SignedList{}, ErrNotFound
	}
	key, err := p.cfg.Signer.Key([]string{l.Audience})
	if errors.Is(err, keyring.ErrNoSigner) { // so there are no tokens, and no lists
		return SignedList{}, ErrNotFound
	}
	if err != nil {
		return SignedList{}, err
	}
	list, ok := p.signed[l]
	if period := p.period(now); !ok || list.key != key || list.period != period {
		if list, err = p.sign(l, key, now, period); err != nil {
			return SignedList{}, err
		}
		p.signed[l] = list
	}
	return list, nil
}

// URIs returns the URIs of the lists of the current epoch for an API. The error is ErrNotFound if the API is not
// registered, and was not a day ago.
func (p *Provider) URIs(ctx context.Context, audience string) ([]string, error) {
	l := p.cfg.Lists.List(0, audience)
	err := p.refresh(ctx, l)
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := p.asOf(err); err != nil {
		return nil, err
	}
	if _, ok := p.apis[audience]; !ok {
		return nil, ErrNotFound
	}
	uris, lists := []string{}, p.cfg.Lists
	lists.Epoch = p.epoch()
	for l = lists.List(0, audience); p.has(l); l = lists.List(l.Number+1, audience) {
		uris = append(uris, l.URI)
	}
	return uris, nil
}

// forgottenLists is how many lists a previous epoch may have had after the last one that the restored
// database knows of.
const forgottenLists = 16

// asOf returns the time at which what is known was true: now, or the time of the last update
// if the one that a request waited for has ended with err. It returns err if nothing is
// known, or if a list of that time might have expired. Such a list was signed up to an epoch
// before.
func (p *Provider) asOf(err error) (time.Time, error) {
	now := p.cfg.Now()
	if err == nil {
		return now, nil
	}
	if p.apis == nil || !now.Before(p.updated.Add(p.validity()-p.cfg.Lifetime/4)) {
		return time.Time{}, err
	}
	return p.updated, nil
}

// has reports whether the list is known to exist.
func (p *Provider) has(l grant.List) bool {
	_, ok := p.apis[l.Audience]
	switch {
	case !ok:
		return false
	case l.Epoch == p.epoch():
		return p.last > 0 && l.Number <= p.last/grant.ListSize
	}
	return (l.Epoch == "" || slices.Contains(p.epochs, l.Epoch)) && l.Number <= p.last/grant.ListSize+forgottenLists
}

// epoch returns the current epoch; empty for the first.
func (p *Provider) epoch() string {
	if n := len(p.epochs); n > 0 {
		return p.epochs[n-1]
	}
	return ""
}

// period numbers the periods in which a list need not be signed again. In a new one every
// consumer fetches the list, so that its copy never expires within the lifetime of a token.
func (p *Provider) period(now time.Time) int64 { return now.UnixNano() / int64(p.cfg.Lifetime/4) }

// validity is how long a list is valid after it was signed.
func (p *Provider) validity() time.Duration { return p.cfg.Lifetime * 3 / 2 }

// sign signs a list.
func (p *Provider) sign(l grant.List, key *keyring.Key, now time.Time, period int64) (SignedList, error) {
	list := p.list(l)
	text, err := statuslist.Sign(statuslist.Token{
		URI: l.URI, IssuedAt: now, ExpiresAt: now.Add(p.validity()), TTL: listTTL, List: list,
	}, key)
	sum := sha256.Sum256(fmt.Appendf(nil, "%x %d %s", list.Digest(), period, key.ID))
	tag := `W/"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
	return SignedList{Token: text, Gzip: compressed(text), ETag: tag, key: key, period: period}, err
}

// compressed returns a text compressed with gzip. There is nothing to find in it that repeats, so Huffman coding, which
// takes a tenth of the time, does as well as the rest.
func compressed(text string) string {
	var b strings.Builder
	w, err := gzip.NewWriterLevel(&b, gzip.HuffmanOnly)
	if err == nil {
		_, err = io.WriteString(w, text)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // the level is valid, and a strings.Builder does not fail
	}
	return b.String()
}

// The lists that say the same of every grant.
var (
	noneRevoked = sync.OnceValue(func() *statuslist.List { return statuslist.NewList(grant.ListSize) })
	allRevoked  = sync.OnceValue(func() *statuslist.List {
		list := statuslist.NewList(grant.ListSize)
		for i := range int64(grant.ListSize) {
			list.Revoke(i)
		}
		return list
	})
)

// list returns the bits of a list. For a deleted API every grant is revoked: also that of a
// service, which stays valid for other APIs, and one that was being made when the API was
// deleted. In a previous epoch every grant is revoked too: the restored database has forgotten the
// last ones, and which others were revoked.
func (p *Provider) list(l grant.List) *statuslist.List {
	if !p.apis[l.Audience] || l.Epoch != p.epoch() {
		return allRevoked()
	}
	if list, ok := p.bits[l.Number]; ok {
		return list
	}
	return noneRevoked()
}
