package revocation

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/hallpass-auth/hallpass/shared/statuslist"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// How often the store is queried. An update reads the revocations since the last one, and
// some before it, because transactions take time and the clocks of servers differ. What a
// server with a very wrong clock has stored is found when all revocations are read again.
const (
	interval    = 200 * time.Millisecond // between two updates
	minInterval = 20 * time.Millisecond  // the same after a failure, or for a list that is not known yet
	overlap     = time.Minute
	fullEvery   = 3 * time.Minute // between two times that all revocations are read
)

// pageSize is how many grants are read at once: few enough that neither the database's limit
// on the time of a statement nor memory matters.
const pageSize = 10_000

// queryTimeout bounds a query: one that takes longer is cancelled.
const queryTimeout = 15 * time.Second

// longestWait is how long a request waits for an update if there is something to publish
// already. An API waits longer: five seconds without a byte.
const longestWait = 1500 * time.Millisecond

// errSlow says that an update has not ended yet.
var errSlow = errors.New("the database takes too long")

// span is when something began and ended.
type span struct{ began, ended time.Time }

// recent reports whether it began less than d ago, or ended less long ago than it took: what
// takes long runs for at most half of the time.
func (s span) recent(now time.Time, d time.Duration) bool {
	return recent(now, s.began, d) || recent(now, s.ended, s.ended.Sub(s.began))
}

// recent reports whether then was less than d ago. A clock that was put back makes it false.
func recent(now, then time.Time, d time.Duration) bool {
	since := now.Sub(then)
	return since >= 0 && since < d
}

// update is one query for what is new. The fields other than done may be read once that is
// closed.
type update struct {
	done chan struct{}
	span
	err error
}

// over reports whether the update has ended.
func (u *update) over() bool {
	select {
	case <-u.done:
		return true
	default:
		return false
	}
}

// refresh waits until what is known is up to date. A request that is canceled stops waiting,
// and the update goes on.
func (p *Provider) refresh(ctx context.Context, l grant.List) error {
	u, known := p.updateFor(l)
	if u.over() {
		return u.err
	}
	var slow <-chan time.Time
	if known {
		slow = time.After(longestWait)
	}
	select {
	case <-u.done:
		return u.err
	case <-slow:
		return errSlow
	case <-ctx.Done():
		return ctx.Err()
	}
}

// updateFor returns the update that a request for the list waits for: the one that is running,
// the last one if it is recent, or a new one. known says that lists can be published already.
func (p *Provider) updateFor(l grant.List) (_ *update, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known = p.apis != nil
	if u := p.update; u != nil {
		if !u.over() {
			return u, known
		}
		enough := interval
		if u.err != nil || !p.has(l) {
			enough = minInterval
		}
		if u.recent(p.cfg.Now(), enough) {
			return u, known
		}
	}
	p.update = &update{done: make(chan struct{})}
	go p.run(p.update)
	return p.update, known
}

// run does an update. The first one in an epoch reads all revocations before that, since a list that
// is not complete would call revoked tokens valid. Later updates do not wait for that.
func (p *Provider) run(u *update) {
	defer close(u.done)
	u.began = p.cfg.Now()
	epochs, err := p.readEpochs()
	u.err = err
	if err == nil && p.beginEpoch(epochs) {
		u.err = p.readAll(u.began, epochs)
	}
	if u.err == nil {
		u.began = p.cfg.Now()
		u.err = p.readNew(u.began)
	}
	u.ended = p.cfg.Now()
	p.report(u.err)
	if u.err == nil && p.begin(u.ended) {
		go p.readAllAgain(u.ended, epochs)
	}
}

// readEpochs reads the names of the epochs.
func (p *Provider) readEpochs() ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	return p.cfg.Grants.Epochs(ctx)
}

// beginEpoch makes new lists to read all revocations into, and reports whether that is due: none were
// read yet, or there is another epoch, in which the numbers of revoked grants are used again. While all
// are being read again in the epoch before, a later update begins the new one.
func (p *Provider) beginEpoch(epochs []string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next != nil || p.bits != nil && slices.Equal(p.epochs, epochs) {
		return false
	}
	p.next = map[int64]*statuslist.List{}
	return true
}

// report logs when updates begin to fail after lists were published, and when they succeed
// again.
func (p *Provider) report(err error) {
	p.mu.Lock()
	before := p.failing
	p.failing = err != nil && p.apis != nil
	now, until := p.failing, p.updated.Add(p.validity()-p.cfg.Lifetime/4)
	p.mu.Unlock()
	switch {
	case now && !before:
		p.cfg.Log.Error("cannot read revoked grants: status lists stay as they were", "until", until, "error", err)
	case before && !now:
		p.cfg.Log.Info("revoked grants are read again")
	}
}

// readNew reads the revocations since the last update, and which lists there are.
func (p *Provider) readNew(now time.Time) error {
	since := p.since(now)
	if err := p.eachPage(since, p.add); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	last, err := p.cfg.Grants.LastGrant(ctx)
	if err != nil {
		return err
	}
	apis, err := p.cfg.APIs.Audiences(ctx, now.Add(-retention))
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.signed, func(l grant.List, _ SignedList) bool { return apis[l.Audience] != p.apis[l.Audience] })
	p.updated, p.last, p.apis = now, last, apis
	return nil
}

// since returns the time from which an update reads.
func (p *Provider) since(now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.updated.Before(now) {
		now = p.updated
	}
	return now.Add(-overlap)
}

// begin makes new lists to read all revocations into, and reports whether that is due: it is
// not while it is being done, or was done recently.
func (p *Provider) begin(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next != nil || p.full.recent(now, fullEvery) {
		return false
	}
	p.next = map[int64]*statuslist.List{}
	return true
}

// readAllAgain is readAll without a request that waits for it.
func (p *Provider) readAllAgain(now time.Time, epochs []string) {
	if err := p.readAll(now, epochs); err != nil {
		p.cfg.Log.Error("cannot read all revoked grants again: status lists go on with new revocations only", "error", err)
	}
}

// readAll reads all revocations into new lists beside the old ones, and then replaces those.
// Revocations that updates find meanwhile are added to both.
func (p *Provider) readAll(now time.Time, epochs []string) error {
	err := p.eachPage(now.Add(-retention), func(numbers []int64, _ time.Time) { set(p.next, numbers) })
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		if p.bits == nil {
			p.updated = now
		}
		p.bits, p.epochs, p.signed = p.next, epochs, map[grant.List]SignedList{}
	}
	p.next = nil
	if p.bits != nil { // else the next update tries again
		p.full = span{now, p.cfg.Now()}
	}
	return err
}

// eachPage reads which grants were revoked at that second or later, and calls found with each
// page of their numbers, and when the last of these was revoked, while it holds the mutex.
func (p *Provider) eachPage(at time.Time, found func(numbers []int64, last time.Time)) error {
	for number := int64(0); ; {
		numbers, last, err := p.page(at, number)
		if err != nil {
			return err
		}
		p.mu.Lock()
		found(numbers, last)
		p.mu.Unlock()
		if len(numbers) < pageSize {
			return nil
		}
		at, number = last, numbers[len(numbers)-1]
	}
}

func (p *Provider) page(at time.Time, number int64) (numbers []int64, last time.Time, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	return p.cfg.Grants.RevokedAfter(ctx, at, number, pageSize)
}

// add sets the bits of grants, the last of which was revoked at that time, and drops the signed lists that this
// changes.
func (p *Provider) add(numbers []int64, last time.Time) {
	if p.next != nil {
		set(p.next, numbers)
	}
	changed := set(p.bits, numbers)
	maps.DeleteFunc(p.signed, func(l grant.List, _ SignedList) bool { return changed[l.Number] > 0 })
	grants := 0
	for _, n := range changed {
		grants += n
	}
	if grants > 0 && p.cfg.Published != nil {
		p.cfg.Published(grants, max(p.cfg.Now().Sub(last), 0))
	}
}

// set sets the bits of grants, and returns how many that changes, by the number of the list.
func set(lists map[int64]*statuslist.List, numbers []int64) (changed map[int64]int) {
	changed = map[int64]int{}
	for _, number := range numbers {
		n, index := number/grant.ListSize, number%grant.ListSize
		list, ok := lists[n]
		if !ok {
			list = statuslist.NewList(grant.ListSize)
			lists[n] = list
		}
		if revoked, _ := list.Revoked(index); !revoked {
			list.Revoke(index)
			changed[n]++
		}
	}
	return changed
}
