package audit

import (
	"encoding/binary"
	"encoding/json"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// Outcome is how something ended.
type Outcome string

// The outcomes.
const (
	Success Outcome = "success"
	Failure Outcome = "failure"
)

// The kinds of subjects. Others are the first word of the names of their events.
const (
	SubjectUser       = "user"
	SubjectClient     = "client"
	SubjectInvitation = "invitation"
)

// The events whose names more than one package needs.
const (
	Login            = "login"
	LoginFailed      = "login_failed"
	SecondStepFailed = "second_step_failed"
)

// Subject is whom or what something was done to.
type Subject struct {
	// Kind is SubjectUser, SubjectClient, or another noun such as api, scope or webhook.
	Kind string
	// ID is the id of the user or the client, the audience of an API, or the name of a scope. It is empty for an unknown
	// username. It is never the name or the address of a person: these are deleted with the account, and records cannot
	// be changed.
	ID string
	// Name is the name of the user, or the email address of the invitation, while it exists. It is not part of the
	// record: it is looked up when the record is read.
	Name string
}

// Event is what is recorded, before it has an id.
type Event struct {
	// Name says what was done, such as user_disabled.
	Name string
	// At is when it was done.
	At time.Time
	// Outcome is how it ended; the zero value means Success.
	Outcome Outcome
	// Subject is whom or what it was done to.
	Subject Subject
	// ClientID is the client that it was done with; if empty, that of the actor.
	ClientID string
	// Count is how often it was done, if one record stands for several; 0 means once.
	Count int64
	// Details say more. They hold no secret, no name and no address of a person.
	Details map[string]string
}

// Record is an event in the audit log.
type Record struct {
	// ID is a UUIDv7: ids sort by time.
	ID string
	// At is when it was done, in whole seconds.
	At      time.Time
	Event   string
	Outcome Outcome
	// Actor is who did it. Its Name is looked up as Subject.Name is.
	Actor   Actor
	Subject Subject
	// Count is how often it was done; 1 unless one record stands for several.
	Count   int64
	Details map[string]string

	// Number is the place in the chain, and Hash the hash up to there; zero until the record is sealed.
	Number int64
	Hash   string
}

// Details returns details from alternating names and values. It leaves out empty values, and returns nil if all are.
func Details(pairs ...string) map[string]string {
	var details map[string]string
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			continue
		}
		if details == nil {
			details = map[string]string{}
		}
		details[pairs[i]] = pairs[i+1]
	}
	return details
}

// KindOf returns the kind of the subjects of an event: the first word of its name.
func KindOf(event string) string {
	kind, _, _ := strings.Cut(event, "_")
	return kind
}

// maxText is how many bytes of a text that a client may have chosen are kept.
const maxText = 1000

// NewRecord returns the record of an event by an actor, with a new id. If the actor is an unknown person, it is the
// user whom the event is about, except for failures: they may be somebody else's. It returns an error if the machine
// has no randomness.
func NewRecord(e Event, a Actor) (Record, error) {
	id, err := NewID(e.At)
	if err != nil {
		return Record{}, err
	}
	r := Record{
		ID: id, At: e.At.UTC().Truncate(time.Second), Event: e.Name, Outcome: e.Outcome,
		Actor: a, Subject: e.Subject, Count: max(e.Count, 1), Details: map[string]string{},
	}
	if r.Outcome == "" {
		r.Outcome = Success
	}
	if r.Outcome == Success && r.Actor.Kind == User && r.Actor.ID == "" && r.Subject.Kind == SubjectUser {
		r.Actor.ID = r.Subject.ID
	}
	if e.ClientID != "" {
		r.Actor.ClientID = e.ClientID
	}
	for _, text := range []*string{&r.Actor.ID, &r.Actor.Address, &r.Actor.ClientID, &r.Actor.RequestID, &r.Subject.ID} {
		*text = clean(*text)
	}
	for name, value := range e.Details {
		r.Details[name] = clean(value)
	}
	return r, nil
}

// clean returns text that every database stores as it is: valid UTF-8 without NUL, and not too long.
func clean(text string) string {
	if len(text) > maxText {
		text = text[:maxText]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// DetailsText returns the details as JSON with sorted names, as they are stored and hashed.
func (r Record) DetailsText() (string, error) {
	if len(r.Details) == 0 {
		return "{}", nil
	}
	text, err := json.Marshal(r.Details)
	return string(text), err
}

// made counts the ids that this process has made.
var made atomic.Uint32

// NewID returns a UUIDv7 of a time (RFC 9562 section 5.7). Ids of one millisecond sort in the order in which a process
// has made them, by a counter in rand_a and the first 14 bits of rand_b (section 6.2). Only where it wraps around, once
// in 67 million ids, do two of them sort the other way. It returns an error if the machine has no randomness.
func NewID(at time.Time) (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", err
	}
	first := FirstID(at)
	copy(id[:6], first[:6])
	n := made.Add(1)
	binary.BigEndian.PutUint16(id[6:], 0x7000|uint16(n>>14&0x0fff)) // version 7
	binary.BigEndian.PutUint16(id[8:], 0x8000|uint16(n&0x3fff))     // the variant of RFC 9562
	return id.String(), nil
}

// maxMilli is the last time of a UUIDv7, in milliseconds.
const maxMilli = 1<<48 - 1

// FirstID returns the id that sorts before all ids of a time and later ones. It takes a time that UUIDs cannot have for
// the nearest that they can.
func FirstID(at time.Time) uuid.UUID {
	var id uuid.UUID
	for i, ms := 5, min(max(at.UnixMilli(), 0), maxMilli); i >= 0; i-- {
		id[i] = byte(ms & 0xff)
		ms >>= 8
	}
	return id
}
