package revocation

import (
	"context"
	"maps"
	"time"

	"github.com/hallpass-auth/hallpass/shared/statuslist"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// How the store is looked at. A look finds what was revoked since the one before it; it
// goes back further, because transactions take time and clocks of servers differ. What a
// clock that is quite wrong has kept from being found is found when all is read anew.
const (
	freshness = 200 * time.Millisecond // between two looks
	hurry     = 20 * time.Millisecond  // the same, where a list is asked for that may be new, or after a failure
	overlap   = time.Minute
	anew      = 3 * time.Minute // between two reads of it all
)

// What is read at once: so little that the database is done with it long before it gives
// a statement up, and that memory does not mind. A statement without an answer for so long
// will have none.
const (
	pageSize = 10_000
	patience = 15 * time.Second
)

// span is from when until when something was done.
type span struct{ began, ended time.Time }

// recent reports whether it began less than d ago, or ended less long ago than it took: so
// what takes long is done for half of the time at the most.
func (s span) recent(now time.Time, d time.Duration) bool {
	return recent(now, s.began, d) || recent(now, s.ended, s.ended.Sub(s.began))
}

// recent reports whether then was less than d ago, by a clock that may be put back.
func recent(now, then time.Time, d time.Duration) bool {
	since := now.Sub(then)
	return since >= 0 && since < d
}

// look is one look at what is new. All but done may be read when that is closed.
type look struct {
	done chan struct{}
	span
	err error
}

// over reports whether it has ended.
func (k *look) over() bool {
	select {
	case <-k.done:
		return true
	default:
		return false
	}
}

// refresh brings what is known up to date, unless that was done a moment ago. A request
// that is given up stops waiting, and the look that it waited for goes on.
func (p *Provider) refresh(ctx context.Context, l grant.List) error {
	k := p.lookFor(l)
	select {
	case <-k.done:
		return k.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lookFor returns the look that is good for a request for the list: the one that is going
// on, or the last, or a new one.
func (p *Provider) lookFor(l grant.List) *look {
	p.mu.Lock()
	defer p.mu.Unlock()
	if k := p.look; k != nil {
		if !k.over() {
			return k
		}
		enough := freshness
		if k.err != nil || !p.has(l) {
			enough = hurry
		}
		if k.recent(p.cfg.Now(), enough) {
			return k
		}
	}
	p.look = &look{done: make(chan struct{})}
	go p.run(p.look, p.lists == nil)
	return p.look
}

// run takes a look. The first one reads all before it, since a list that is not whole would
// call revoked tokens valid; then looks do not wait for that any more.
func (p *Provider) run(k *look, first bool) {
	defer close(k.done)
	k.began = p.cfg.Now()
	if first {
		p.begin(k.began)
		k.err = p.readAll(k.began)
	}
	if k.err == nil {
		k.began = p.cfg.Now()
		k.err = p.readNew(k.began)
	}
	k.ended = p.cfg.Now()
	if k.err == nil && p.begin(k.ended) {
		go p.readAllAnew(k.ended)
	}
}

// readNew reads what was revoked since it was last done, and what there are lists for.
func (p *Provider) readNew(now time.Time) error {
	since := p.since(now)
	if err := p.eachPage(since, p.add); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	last, err := p.cfg.Grants.LastGrant(ctx)
	if err != nil {
		return err
	}
	apis, err := p.cfg.APIs.Audiences(ctx, now.Add(-memory))
	if err != nil {
		return err
	}
	apis[""] = true
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.forms, func(l grant.List, _ Form) bool { return apis[l.Audience] != p.apis[l.Audience] })
	p.looked, p.last, p.apis = now, last, apis
	return nil
}

// since is from when on a look reads.
func (p *Provider) since(now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.looked.Before(now) {
		now = p.looked
	}
	return now.Add(-overlap)
}

// begin makes new lists to read all into, and reports whether that is to be done: it is
// not being done, and was not lately.
func (p *Provider) begin(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next != nil || p.full.recent(now, anew) {
		return false
	}
	p.next = map[int64]*statuslist.List{}
	return true
}

// readAllAnew is readAll that nobody waits for.
func (p *Provider) readAllAnew(now time.Time) {
	if err := p.readAll(now); err != nil {
		p.cfg.Log.Error("revoked grants not read anew: status lists go on with what is new", "error", err)
	}
}

// readAll reads all that is to be known into the new lists, beside the old ones, and then
// has them take their place. What looks find in the meantime is in both.
func (p *Provider) readAll(now time.Time) error {
	err := p.eachPage(now.Add(-memory), func(numbers []int64) { set(p.next, numbers) })
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		if p.lists == nil {
			p.looked = now
		}
		p.lists, p.forms = p.next, map[grant.List]Form{}
	}
	p.next = nil
	if p.lists != nil { // or it is to be tried again by the next look
		p.full = span{now, p.cfg.Now()}
	}
	return err
}

// eachPage reads which grants were revoked at that second or later, and calls found with
// every page of their numbers, while it holds the mutex.
func (p *Provider) eachPage(at time.Time, found func(numbers []int64)) error {
	for number := int64(0); ; {
		numbers, last, err := p.page(at, number)
		if err != nil {
			return err
		}
		p.mu.Lock()
		found(numbers)
		p.mu.Unlock()
		if len(numbers) < pageSize {
			return nil
		}
		at, number = last, numbers[len(numbers)-1]
	}
}

func (p *Provider) page(at time.Time, number int64) (numbers []int64, last time.Time, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return p.cfg.Grants.RevokedAfter(ctx, at, number, pageSize)
}

// add sets the bits of grants. Forms of lists without them are forgotten.
func (p *Provider) add(numbers []int64) {
	if p.next != nil {
		set(p.next, numbers)
	}
	changed := set(p.lists, numbers)
	maps.DeleteFunc(p.forms, func(l grant.List, _ Form) bool { return changed[l.Number] })
}

// set sets the bits of grants, and returns the numbers of the lists that this has changed.
func set(lists map[int64]*statuslist.List, numbers []int64) (changed map[int64]bool) {
	changed = map[int64]bool{}
	for _, number := range numbers {
		n, index := number/grant.ListSize, number%grant.ListSize
		list, ok := lists[n]
		if !ok {
			list = statuslist.NewList(grant.ListSize)
			lists[n] = list
		}
		if revoked, _ := list.Revoked(index); !revoked {
			list.Revoke(index)
			changed[n] = true
		}
	}
	return changed
}
