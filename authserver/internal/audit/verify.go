package audit

import (
	"context"
	"errors"
	"fmt"
)

// ErrBroken means that the audit log is not what was written.
var ErrBroken = errors.New("the audit log is broken")

// BrokenError says where the chain is broken first. It wraps ErrBroken.
type BrokenError struct {
	// Number and RecordID are the first record that is not as it was; the number is 0 if the record is not in the chain.
	Number   int64
	RecordID string
	// Reason says what is wrong with it.
	Reason string
}

func (e *BrokenError) Error() string {
	if e.Number == 0 {
		return fmt.Sprintf("%v: record %s %s", ErrBroken, e.RecordID, e.Reason)
	}
	return fmt.Sprintf("%v: record %d (%s) %s", ErrBroken, e.Number, e.RecordID, e.Reason)
}

func (e *BrokenError) Unwrap() error { return ErrBroken }

// Cut is the end of a part of the chain that was dropped because its records were too old.
type Cut struct {
	// Number and Hash are those of the last record of the part.
	Number int64
	Hash   string
}

// Linked is a link of the chain with its record.
type Linked struct {
	Link
	// Record is the record as it is stored now, and Text its details as they are stored. Found is false if it is gone.
	Record Record
	Text   string
	Found  bool
}

// ChainStore reads the chain. It is safe for concurrent use.
type ChainStore interface {
	// AuditCuts returns the cuts, oldest first.
	AuditCuts(ctx context.Context) ([]Cut, error)
	// AuditLinks returns up to limit links after a number, in order.
	AuditLinks(ctx context.Context, after int64, limit int) ([]Linked, error)
	// AuditLoose returns the first of up to limit records after an id that are neither in the chain nor wait for it, and
	// the last id that it has looked at; both are empty after the last record.
	AuditLoose(ctx context.Context, after string, limit int) (loose, last string, err error)
	// AuditWaiting returns how many records wait to be sealed, and one of those that are gone meanwhile, if any.
	AuditWaiting(ctx context.Context) (waiting int64, gone string, err error)
}

// verifyPage is how many records are read at once.
const verifyPage = 1000

// Verified is what Verify has found to be in order.
type Verified struct {
	// Records counts the records whose hashes were computed again, Waiting those that are not sealed yet.
	Records, Waiting int64
	// First is the number of the first record that is kept, and Head the last link. Write the number and the hash down
	// elsewhere: see Verify.
	First int64
	Head  Link
	// HeadFound says whether the chain contains the hash that Verify was given.
	HeadFound bool
}

// Verify computes all hashes again. It returns a *BrokenError that names the first record that was changed, moved or
// removed.
//
// The owner of the database can write a new chain, or remove its last records: then all hashes are right. Only a hash
// that was written down elsewhere, earlier, shows that. Verify says whether the chain still contains the hash head; an
// empty one is not looked for.
func Verify(ctx context.Context, s ChainStore, head string) (Verified, error) {
	for {
		v := verification{store: s, wanted: head}
		err := v.run(ctx)
		if !errors.Is(err, ErrBroken) {
			return v.result, err
		}
		// A server may have dropped old records in the meantime: then verify again.
		cuts, cutsErr := s.AuditCuts(ctx)
		if cutsErr != nil || len(cuts) == v.cuts {
			return v.result, err
		}
	}
}

// verification is a Verify in progress.
type verification struct {
	store  ChainStore
	wanted string
	result Verified
	cuts   int
}

func (v *verification) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{v.begin, v.walk, v.lookForLoose} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// see compares a hash of the chain with the wanted one.
func (v *verification) see(hash string) {
	if hash == v.wanted {
		v.result.HeadFound = true
	}
}

// begin reads the cuts. The chain continues after the last one.
func (v *verification) begin(ctx context.Context) error {
	cuts, err := v.store.AuditCuts(ctx)
	if err != nil {
		return err
	}
	v.cuts, v.result.Head = len(cuts), Link{Hash: Genesis}
	for _, c := range cuts {
		v.see(c.Hash)
		v.result.Head = Link{Number: c.Number, Hash: c.Hash}
	}
	v.result.First = v.result.Head.Number + 1
	return nil
}

// walk computes the hashes of all records that are kept.
func (v *verification) walk(ctx context.Context) error {
	for {
		links, err := v.store.AuditLinks(ctx, v.result.Head.Number, verifyPage)
		if err != nil || len(links) == 0 {
			return err
		}
		for _, l := range links {
			if err := v.check(l); err != nil {
				return err
			}
		}
	}
}

// check computes the hash of a link.
func (v *verification) check(l Linked) error {
	broken := func(reason string) error { return &BrokenError{l.Number, l.RecordID, reason} }
	number := v.result.Head.Number + 1
	if l.Number != number {
		return &BrokenError{number, "unknown", "is missing, with its place in the chain"}
	}
	if !l.Found {
		return broken("is missing")
	}
	details, err := l.Record.DetailsText()
	if err != nil {
		return err
	}
	hash, err := HashOf(v.result.Head.Hash, number, l.Record)
	if err != nil {
		return err
	}
	if hash != l.Hash || details != l.Text {
		return broken("was changed, or was not the next one")
	}
	v.result.Head = l.Link
	v.result.Records++
	v.see(hash)
	return nil
}

// lookForLoose looks for records that were added without waiting to be sealed, and for those that were removed while
// they waited.
func (v *verification) lookForLoose(ctx context.Context) error {
	waiting, gone, err := v.store.AuditWaiting(ctx)
	if err != nil {
		return err
	}
	if v.result.Waiting = waiting; gone != "" {
		return &BrokenError{0, gone, "was removed before it was sealed"}
	}
	for after := ""; ; {
		loose, last, err := v.store.AuditLoose(ctx, after, verifyPage)
		if err != nil {
			return err
		}
		if loose != "" {
			return &BrokenError{0, loose, "was not written by a server, or its place in the chain was removed"}
		}
		if last == "" {
			return nil
		}
		after = last
	}
}
