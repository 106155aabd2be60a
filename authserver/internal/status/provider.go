// Package status publishes which grants are revoked: it is the Status Provider, in the
// words of the Token Status List (draft-ietf-oauth-status-list).
//
// It exists so that any number of APIs can ask for the lists several times a second, and
// so that a revocation that any server has stored is in the next answer all the same. What
// is stored is looked at five times a second at the most, however many ask, and only for
// what is new; a list is compressed and signed again only where one of its bits has
// changed, or where its signature gets old.
package status

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/statuslist"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// TTL is how old a copy of a list may be before it is to be fetched again. A second, so
// that a revocation is in force everywhere within about that.
const TTL = time.Second

// How the store is looked at. A look finds what was revoked since the one before it; it
// goes back further, because transactions take time and clocks of servers differ. What a
// clock that is quite wrong has kept from being found is found when all is read anew.
const (
	freshness = 200 * time.Millisecond // between two looks
	hurry     = 20 * time.Millisecond  // the same, where a list is asked for that may be new
	overlap   = time.Minute
	anew      = time.Minute // between two looks at all of it
)

// memory is how long a revoked grant stays in a list, and a little longer: as long as an
// access token of it may live.
const memory = grant.MaxTokenLifetime + time.Minute

// ErrNotFound says that there is no such list: no grant of it has been made yet, or its
// API is not registered, or has no key.
var ErrNotFound = errors.New("no such status list")

// Grants finds revoked grants. Its methods are safe for concurrent use.
type Grants interface {
	// RevokedSince returns the numbers of the grants that were revoked at that second or
	// later.
	RevokedSince(ctx context.Context, since time.Time) ([]int64, error)
	// LastGrant returns the highest number that a grant has; zero if there is none.
	LastGrant(ctx context.Context) (int64, error)
}

// APIs finds all registered APIs.
type APIs interface {
	APIs(ctx context.Context) ([]resource.API, error)
}

// Config says what lists are to say; all fields are required.
type Config struct {
	// Issuer is what the URIs of lists begin with, Audience the API that lists are for which
	// name none.
	Issuer, Audience string
	// Lifetime is how long an access token is good. A list is good for half as long again, so
	// that an API that cannot fetch it any more goes on to accept the tokens it knows until
	// they expire. It is no longer than that, because for so long a revocation may be kept
	// from an API by whoever can cut it off: then it answers 503.
	Lifetime time.Duration
	Grants   Grants
	APIs     APIs
	// Signer signs the tokens that point at the lists; a list gets the key of those.
	Signer *token.Signer
	Now    func() time.Time
}

// Form is the signed form of a list.
type Form struct {
	// Text is the Status List Token.
	Text string
	// ETag is an entity tag, a weak one: forms that say the same until about the same time
	// have the same, whichever server signed them.
	ETag string

	key   *keyring.Key
	epoch int64
}

// Provider makes the signed forms of lists. It is safe for concurrent use.
type Provider struct {
	cfg   Config
	empty *statuslist.List // stands for those in which nothing is revoked

	// turn holds one value, which whoever uses the fields below takes out. It is not a
	// mutex, so that a request that is given up stops waiting.
	turn    chan struct{}
	looked  time.Time                  // when the last look began
	readAll time.Time                  // when the last look at all of it began
	last    int64                      // the highest number of a grant
	apis    map[string]bool            // audiences that lists are for
	lists   map[int64]*statuslist.List // those in which something is revoked
	forms   map[grant.List]Form        // of the bits of now
}

// NewProvider returns a provider.
func NewProvider(cfg Config) *Provider {
	p := &Provider{cfg: cfg, empty: statuslist.NewList(grant.ListSize), turn: make(chan struct{}, 1)}
	p.turn <- struct{}{}
	return p
}

// Form returns the signed form of a list, with every revocation that was stored 200
// milliseconds ago, or ErrNotFound.
func (p *Provider) Form(ctx context.Context, l grant.List) (Form, error) {
	done, err := p.take(ctx)
	if err != nil {
		return Form{}, err
	}
	defer done()
	if err := p.look(ctx, l); err != nil {
		return Form{}, err
	}
	key, err := p.key(l.Audience)
	if err != nil {
		return Form{}, err
	}
	now := p.cfg.Now()
	known, ok := p.forms[l]
	if epoch := p.epoch(now); !ok || known.key != key || known.epoch != epoch {
		if known, err = p.sign(l, key, now, epoch); err != nil {
			return Form{}, err
		}
		p.forms[l] = known
	}
	return known, nil
}

// URIs returns where the lists for an API are; no audience means the API of the settings.
// It is ErrNotFound for one that is not registered.
func (p *Provider) URIs(ctx context.Context, audience string) ([]string, error) {
	done, err := p.take(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	if audience == p.cfg.Audience {
		audience = ""
	}
	l := grant.List{Audience: audience}
	if err := p.look(ctx, l); err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	if !p.apis[audience] {
		return nil, ErrNotFound
	}
	uris := []string{}
	for ; p.has(l); l.Number++ {
		uris = append(uris, l.URI(p.cfg.Issuer))
	}
	return uris, nil
}

// take waits for the turn; done gives it back.
func (p *Provider) take(ctx context.Context) (done func(), err error) {
	select {
	case <-p.turn:
		return func() { p.turn <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// has reports whether there is the list, as far as is known.
func (p *Provider) has(l grant.List) bool {
	return p.last > 0 && l.Number <= p.last/grant.ListSize && p.apis[l.Audience]
}

// look brings what is known up to date, unless that was done a moment ago. It is
// ErrNotFound if there is no such list then.
func (p *Provider) look(ctx context.Context, l grant.List) error {
	now, enough := p.cfg.Now(), freshness
	if !p.has(l) {
		enough = hurry
	}
	if !recent(now, p.looked, enough) {
		if err := p.read(ctx, now); err != nil {
			return err
		}
	}
	if !p.has(l) {
		return ErrNotFound
	}
	return nil
}

// read reads what was revoked since it was last done, or, now and then, all.
func (p *Provider) read(ctx context.Context, now time.Time) error {
	since, all := p.looked.Add(-overlap), !recent(now, p.readAll, anew)
	if all {
		since = now.Add(-memory)
	}
	numbers, err := p.cfg.Grants.RevokedSince(ctx, since)
	if err != nil {
		return err
	}
	last, err := p.cfg.Grants.LastGrant(ctx)
	if err != nil {
		return err
	}
	apis, err := p.cfg.APIs.APIs(ctx)
	if err != nil {
		return err
	}
	p.looked, p.last, p.apis = now, last, map[string]bool{"": true}
	for _, api := range apis {
		p.apis[api.Audience] = true
	}
	if all {
		p.lists, p.forms, p.readAll = map[int64]*statuslist.List{}, map[grant.List]Form{}, now
	}
	for _, n := range numbers {
		p.revoke(n)
	}
	return nil
}

// recent reports whether then was less than d ago, by a clock that may be put back.
func recent(now, then time.Time, d time.Duration) bool {
	since := now.Sub(then)
	return since >= 0 && since < d
}

// revoke sets the bit of a grant. Forms of the list without it are forgotten.
func (p *Provider) revoke(number int64) {
	n, index := number/grant.ListSize, number%grant.ListSize
	list, ok := p.lists[n]
	if !ok {
		list = statuslist.NewList(grant.ListSize)
		p.lists[n] = list
	}
	if revoked, _ := list.Revoked(index); !revoked {
		list.Revoke(index)
		maps.DeleteFunc(p.forms, func(l grant.List, _ Form) bool { return l.Number == n })
	}
}

// key returns the key that signs tokens for the API. Where there is none there are no
// tokens, and so no list.
func (p *Provider) key(audience string) (*keyring.Key, error) {
	if audience == "" {
		return p.cfg.Signer.Key([]string{p.cfg.Audience})
	}
	key, err := p.cfg.Signer.Key([]string{audience})
	if errors.Is(err, keyring.ErrNoSigner) {
		err = ErrNotFound
	}
	return key, err
}

// epoch numbers the times in which a list need not be signed again. In a new one every
// consumer fetches it, so that what it has never expires within the lifetime of a token.
func (p *Provider) epoch(now time.Time) int64 { return now.UnixNano() / int64(p.cfg.Lifetime/4) }

// sign makes the form of a list.
func (p *Provider) sign(l grant.List, key *keyring.Key, now time.Time, epoch int64) (Form, error) {
	list, ok := p.lists[l.Number]
	if !ok {
		list = p.empty
	}
	text, err := statuslist.Sign(statuslist.Token{
		URI: l.URI(p.cfg.Issuer), IssuedAt: now, ExpiresAt: now.Add(p.cfg.Lifetime * 3 / 2), TTL: TTL, List: list,
	}, key)
	sum := sha256.Sum256(fmt.Appendf(nil, "%x %d %s", list.Digest(), epoch, key.ID))
	return Form{Text: text, ETag: `W/"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`, key: key, epoch: epoch}, err
}
