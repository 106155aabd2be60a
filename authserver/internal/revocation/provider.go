// Package revocation publishes which grants are revoked: it is the Status Provider, in the
// words of the Token Status List (draft-ietf-oauth-status-list).
//
// It exists so that any number of APIs can ask for the lists several times a second, and
// so that a revocation that any server has stored is in the next answer all the same. What
// is stored is looked at five times a second at the most, however many ask, and only for
// what is new; a list is compressed and signed again only where one of its bits has
// changed, or where its signature gets old.
//
// No request reads the database itself, since its client may not wait for as long as that
// takes: requests wait for reads that go on without them.
package revocation

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/statuslist"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// TTL is how old a copy of a list may be before it is to be fetched again. A second, so
// that a revocation is in force everywhere within about that.
const TTL = time.Second

// memory is how long a revoked grant stays in a list, and a little longer: as long as an
// access token of it may live.
const memory = grant.MaxTokenLifetime + time.Minute

// ErrNotFound says that there is no such list: no grant of it has been made yet, or its
// API is not registered and was not a day ago, or has no key.
var ErrNotFound = errors.New("no such status list")

// Grants finds revoked grants. Its methods are safe for concurrent use.
type Grants interface {
	// RevokedAfter returns the numbers of revoked grants in the order of when they were
	// revoked, and then of their numbers: the first ones after this second and number, limit
	// at the most, and when the last of them was revoked.
	RevokedAfter(ctx context.Context, at time.Time, number int64, limit int) (numbers []int64, last time.Time, err error)
	// LastGrant returns the highest number that a grant has; zero if there is none.
	LastGrant(ctx context.Context) (int64, error)
}

// APIs finds the APIs that lists are for.
type APIs interface {
	// Audiences returns the audiences of all registered APIs, with true, and of those that
	// were deleted at that second or later, with false.
	Audiences(ctx context.Context, deletedSince time.Time) (map[string]bool, error)
}

// Config says what lists are to say; all fields but Log are required.
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
	// Log is told of reads that no request waits for, where they fail; nil means that nobody is.
	Log *slog.Logger
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
	cfg Config

	mu     sync.Mutex                 // held for as long as it takes to sign a list, and no longer
	look   *look                      // the last one, which may not have ended yet; nil before the first
	looked time.Time                  // when the last one began that found what is new
	full   span                       // when all was last read, or tried to be
	last   int64                      // the highest number of a grant
	apis   map[string]bool            // audiences that lists are for; false: that of a deleted API
	lists  map[int64]*statuslist.List // those in which something is revoked; nil until all has been read
	next   map[int64]*statuslist.List // the same, while all is being read; else nil
	forms  map[grant.List]Form        // of the bits of now
}

// NewProvider returns a provider.
func NewProvider(cfg Config) *Provider {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Provider{cfg: cfg}
}

// Form returns the signed form of a list, or ErrNotFound. It has every revocation that was
// stored 200 milliseconds ago. Where the database takes longer than half of that to tell
// what is new, it has those that were stored twice as long ago as that takes.
func (p *Provider) Form(ctx context.Context, l grant.List) (Form, error) {
	if err := p.refresh(ctx, l); err != nil {
		return Form{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.has(l) {
		return Form{}, ErrNotFound
	}
	key, err := p.key(l.Audience)
	if err != nil {
		return Form{}, err
	}
	now := p.cfg.Now()
	form, ok := p.forms[l]
	if epoch := p.epoch(now); !ok || form.key != key || form.epoch != epoch {
		if form, err = p.sign(l, key, now, epoch); err != nil {
			return Form{}, err
		}
		p.forms[l] = form
	}
	return form, nil
}

// URIs returns where the lists for an API are; no audience means the API of the settings.
// It is ErrNotFound for one that is not registered, and was not a day ago.
func (p *Provider) URIs(ctx context.Context, audience string) ([]string, error) {
	if audience == p.cfg.Audience {
		audience = ""
	}
	l := grant.List{Audience: audience}
	if err := p.refresh(ctx, l); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.apis[audience]; !ok {
		return nil, ErrNotFound
	}
	uris := []string{}
	for ; p.has(l); l.Number++ {
		uris = append(uris, l.URI(p.cfg.Issuer))
	}
	return uris, nil
}

// has reports whether there is the list, as far as is known.
func (p *Provider) has(l grant.List) bool {
	_, ok := p.apis[l.Audience]
	return ok && p.last > 0 && l.Number <= p.last/grant.ListSize
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
	list := p.list(l)
	text, err := statuslist.Sign(statuslist.Token{
		URI: l.URI(p.cfg.Issuer), IssuedAt: now, ExpiresAt: now.Add(p.cfg.Lifetime * 3 / 2), TTL: TTL, List: list,
	}, key)
	sum := sha256.Sum256(fmt.Appendf(nil, "%x %d %s", list.Digest(), epoch, key.ID))
	return Form{Text: text, ETag: `W/"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`, key: key, epoch: epoch}, err
}

// The lists that say the same of every grant.
var (
	none = sync.OnceValue(func() *statuslist.List { return statuslist.NewList(grant.ListSize) })
	all  = sync.OnceValue(func() *statuslist.List {
		list := statuslist.NewList(grant.ListSize)
		for i := range int64(grant.ListSize) {
			list.Revoke(i)
		}
		return list
	})
)

// list returns the bits of a list. For a deleted API every grant is revoked: that of a
// service, too, which stays good for other APIs, and one that was being made just then.
func (p *Provider) list(l grant.List) *statuslist.List {
	if !p.apis[l.Audience] {
		return all()
	}
	if list, ok := p.lists[l.Number]; ok {
		return list
	}
	return none()
}
