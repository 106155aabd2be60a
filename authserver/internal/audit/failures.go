package audit

import (
	"context"
	"log/slog"
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
)

// Recorder adds events to the audit log. It is safe for concurrent use.
type Recorder interface {
	// Record adds an event, whose actor comes with the context.
	Record(ctx context.Context, e Event) error
}

// Failures records failed logins within limits, so that a flood of them cannot fill the disk. In a minute it adds at
// most 360 records of single failures, as many with the counts of further failures of an account, and one with the
// count of the rest. It is safe for concurrent use.
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
	over   []finished
}

// finished is a record of counts that waits to be written, with its actor.
type finished struct {
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

// Failed records a failed login, or counts it. The account is the id of the user, or another text by which tries with
// the same unknown name are counted together; network is where it came from. The event has its subject and its reason;
// Failed sets its time and outcome. An error is only logged: the login fails in the same way.
func (f *Failures) Failed(ctx context.Context, e Event, account, network string) {
	e.At, e.Outcome = f.now(), Failure
	if !f.counts(ctx, e, place{e.Name, account, network}) {
		f.record(context.WithoutCancel(ctx), e)
	}
}

// counts counts a failure unless it gets a record of its own, and reports whether it did.
func (f *Failures) counts(ctx context.Context, e Event, at place) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.endMinute()
	n, most := &f.nobody, ofNobody
	if e.Subject.ID != "" {
		n, most = &f.users, ofUsers
	}
	here := f.places[at]
	if here == nil {
		if *n >= most {
			f.rest++
			return true
		}
		here = &failures{}
		f.places[at] = here
	}
	if here.recorded == perPlace || *n >= most {
		here.counted++
		here.last, here.actor = e, ActorFrom(ctx)
		return true
	}
	here.recorded++
	*n++
	return false
}

// endMinute keeps the counts of a minute that is over for Flush. f.mu is locked.
func (f *Failures) endMinute() {
	if minute := f.now().Truncate(time.Minute); !minute.Equal(f.minute) {
		f.keepCounts()
		f.minute = minute
	}
}

// keepCounts keeps the counts so far for Flush, and begins new ones. f.mu is locked.
func (f *Failures) keepCounts() {
	for _, here := range f.places {
		if here.counted > 0 {
			here.last.Count = here.counted
			f.over = append(f.over, finished{here.last, here.actor})
		}
	}
	if f.rest > 0 {
		f.over = append(f.over, finished{Event{
			Name: LoginFailed, At: f.minute, Outcome: Failure, Count: f.rest, Subject: Subject{Kind: SubjectUser},
			Details: Details("reason", "too many to list"),
		}, Actor{Kind: User}})
	}
	f.places, f.users, f.nobody, f.rest = map[place]*failures{}, 0, 0, 0
}

// Flush records the counts of minutes that are over.
func (f *Failures) Flush(ctx context.Context) { f.flush(ctx, f.endMinute) }

// flush calls keep with f.mu locked, then records everything that waits in f.over.
func (f *Failures) flush(ctx context.Context, keep func()) {
	f.mu.Lock()
	keep()
	over := f.over
	f.over = nil
	f.mu.Unlock()
	for _, o := range over {
		f.record(WithActor(ctx, o.actor), o.event)
	}
}

func (f *Failures) record(ctx context.Context, e Event) {
	if err := f.records.Record(ctx, e); err != nil {
		f.log.WarnContext(ctx, "cannot record a failed login", "error", err)
	}
}

// lastFlush bounds how long Run takes to record the last counts.
const lastFlush = 2 * time.Second

// Run records the counts of each minute that is over, until ctx ends. Then it records the last counts.
func (f *Failures) Run(ctx context.Context) {
	ticker := time.NewTicker(time.Minute / 6)
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
