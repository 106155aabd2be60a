package audit

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Limits on the failed logins that get a record of their own, for each server and minute. The rest is only counted, so
// that strangers cannot fill the disk.
const (
	// perPlace is the limit for one account and one network.
	perPlace = 3
	// ofUsers is the limit for users who exist, and ofNobody for unknown names, which are easy to make up.
	ofUsers  = 300
	ofNobody = 60
	// maxWaiting is the limit for records that wait to be written: more than those of a minute.
	maxWaiting = 1000
)

// Recorder adds events to the audit log. It is safe for concurrent use.
type Recorder interface {
	// Record adds an event, whose actor comes with the context.
	Record(ctx context.Context, e Event) error
}

// Failures records failed logins within limits, so that a flood of them cannot fill the disk. In a minute it adds at
// most 360 records of single failures, as many with the counts of further failures of an account, and one with the
// count of the rest. It is safe for concurrent use.
//
// A record is written up to a second after its failure, by Run. The response to a failed login must not wait for it:
// unknown names get fewer records than users, so the time of the response would tell which names exist. A server that
// is killed loses the records that wait.
type Failures struct {
	records Recorder
	now     func() time.Time
	log     *slog.Logger

	mu     sync.Mutex
	minute time.Time
	places map[place]*failures // of this minute
	users  int                 // records of single failures of users who exist
	nobody int                 // the same for unknown names
	rest   int64               // failures that belong to no place
	ready  []waiting           // at most maxWaiting
}

// waiting is a record that waits to be written, with its actor.
type waiting struct {
	event Event
	actor Actor
}

// place is where failures are counted together.
type place struct{ event, account, network string }

// failures are those of one place in one minute.
type failures struct {
	recorded int
	counted  int64
	last     Event
	actor    Actor
}

// NewFailures returns a Failures that adds its records to records.
func NewFailures(records Recorder, now func() time.Time, log *slog.Logger) *Failures {
	return &Failures{records: records, now: now, log: log, places: map[place]*failures{}}
}

// Failed lets Run record a failed login, or counts it. It does not wait for the database. The account is the id of the
// user, or another text by which tries with the same unknown name are counted together; network is where it came from.
// The event has its subject and its reason; Failed sets its time and outcome.
func (f *Failures) Failed(ctx context.Context, e Event, account, network string) {
	e.At, e.Outcome = f.now(), Failure
	at := place{e.Name, account, network}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.endMinute()
	n, most := &f.nobody, ofNobody
	if e.Subject.ID != "" {
		n, most = &f.users, ofUsers
	}
	full := *n >= most || len(f.ready) >= maxWaiting
	here := f.places[at]
	if here == nil {
		if full {
			f.rest++
			return
		}
		here = &failures{}
		f.places[at] = here
	}
	if full || here.recorded == perPlace {
		here.counted++
		here.last, here.actor = e, ActorFrom(ctx)
		return
	}
	here.recorded++
	*n++
	f.ready = append(f.ready, waiting{e, ActorFrom(ctx)})
}

// endMinute keeps the counts of a minute that is over for Flush. f.mu is locked.
func (f *Failures) endMinute() {
	if minute := f.now().Truncate(time.Minute); !minute.Equal(f.minute) {
		f.keepCounts()
		f.minute = minute
	}
}

// keepCounts keeps the counts so far for Flush, and begins new ones. Counts for which there is no room are added to the
// rest, which waits for room. f.mu is locked.
func (f *Failures) keepCounts() {
	for _, here := range f.places {
		switch {
		case here.counted == 0:
		case len(f.ready) < maxWaiting:
			here.last.Count = here.counted
			f.ready = append(f.ready, waiting{here.last, here.actor})
		default:
			f.rest += here.counted
		}
	}
	if f.rest > 0 && len(f.ready) < maxWaiting {
		f.ready = append(f.ready, waiting{Event{
			Name: LoginFailed, At: f.minute, Outcome: Failure, Count: f.rest, Subject: Subject{Kind: SubjectUser},
			Details: Details("reason", "too many to list"),
		}, Actor{Kind: User}})
		f.rest = 0
	}
	f.places, f.users, f.nobody = map[place]*failures{}, 0, 0
}

// Flush writes the records that wait, and the counts of minutes that are over. An error is logged, and the next Flush
// writes the rest.
func (f *Failures) Flush(ctx context.Context) { f.flush(ctx, f.endMinute) }

// flush calls keep with f.mu locked, then writes the records that wait.
func (f *Failures) flush(ctx context.Context, keep func()) {
	f.mu.Lock()
	keep()
	ready := f.ready
	f.ready = nil
	f.mu.Unlock()
	for i, r := range ready {
		err := f.records.Record(WithActor(ctx, r.actor), r.event)
		if err == nil {
			continue
		}
		left := ready[i:]
		if ctx.Err() == nil { // it may be this record that cannot be written
			left = left[1:]
		}
		f.putBack(left)
		f.log.WarnContext(ctx, "cannot record failed logins", "error", err, "waiting", len(left))
		return
	}
}

// putBack lets records wait before those that have come since. Those for which there is no room are counted.
func (f *Failures) putBack(left []waiting) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := slices.Concat(left, f.ready)
	f.ready = all[:min(len(all), maxWaiting)]
	for _, r := range all[len(f.ready):] {
		f.rest += max(r.event.Count, 1)
	}
}

// How often Run writes records, and how long it takes at most to write the last ones. It writes them together, and not
// each at once: a write that follows a response could be noticed by the next request.
const (
	flushEvery = time.Second
	lastFlush  = 2 * time.Second
)

// Run calls Flush every second until ctx ends. Then it writes the last records and counts.
func (f *Failures) Run(ctx context.Context) {
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastFlush)
			defer cancel()
			f.flush(ctx, f.keepCounts)
			return
		case <-ticker.C:
			f.Flush(ctx)
		}
	}
}
