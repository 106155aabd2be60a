package audit

import (
	"context"
	"io"
	"time"
)

// ReadStore is the storage that Service needs. Its methods are safe for concurrent use.
type ReadStore interface {
	ChainStore
	// AuditRecord returns a record, or record.ErrNotFound.
	AuditRecord(ctx context.Context, id string) (Record, error)
	// AuditRecords returns a page of the records that a filter selects.
	AuditRecords(ctx context.Context, f Filter, p Page) ([]Record, error)
	// AuditHours returns how often an event happened in each hour from a time on.
	AuditHours(ctx context.Context, event string, since time.Time) (map[time.Time]int64, error)
	// AuditHead returns the last link of the chain.
	AuditHead(ctx context.Context) (Link, error)
}

// Service reads the audit log. All fields are required. It is safe for concurrent use.
type Service struct {
	Store ReadStore
	Now   func() time.Time
}

// Get returns a record, or record.ErrNotFound.
func (s *Service) Get(ctx context.Context, id string) (Record, error) {
	return s.Store.AuditRecord(ctx, id)
}

// List returns a page of the records that a filter selects. The next page is after the id of the last one.
func (s *Service) List(ctx context.Context, f Filter, p Page) ([]Record, error) {
	if p.Limit <= 0 || p.Limit > MaxPage {
		p.Limit = MaxPage
	}
	return s.Store.AuditRecords(ctx, f, p)
}

// Export writes all records that a filter selects, oldest first. It reads a page at a time. It returns an error for
// an unknown format, or that of w or the store.
func (s *Service) Export(ctx context.Context, f Filter, format Format, w io.Writer) error {
	_, err := s.ExportPart(ctx, f, format, "", 0, w)
	return err
}

// ExportPart is Export from after the record with an id, for at most so many pages of MaxPage records; 0 means all. It
// returns the id of the last record if more may follow, and else nothing.
func (s *Service) ExportPart(
	ctx context.Context,
	f Filter,
	format Format,
	after string,
	pages int,
	w io.Writer,
) (last string, err error) {
	out, err := newExporter(w, format)
	if err != nil {
		return "", err
	}
	p := Page{After: after, OldestFirst: true, Limit: MaxPage}
	for page := 1; ; page++ {
		records, err := s.Store.AuditRecords(ctx, f, p)
		if err != nil {
			return "", err
		}
		for _, r := range records {
			if err := out.Write(r); err != nil {
				return "", err
			}
			p.After = r.ID
		}
		if err := out.Flush(); err != nil || len(records) < p.Limit {
			return "", err
		}
		if page == pages {
			return p.After, nil
		}
	}
}

// Head returns the last link of the chain: write its hash down elsewhere, for Verify.
func (s *Service) Head(ctx context.Context) (Link, error) { return s.Store.AuditHead(ctx) }

// Verify computes the chain again: see the function Verify.
func (s *Service) Verify(ctx context.Context, head string) (Verified, error) {
	return Verify(ctx, s.Store, head)
}

// Hour counts the logins of an hour.
type Hour struct {
	// Begins is when the hour begins, in UTC.
	Begins time.Time
	// Logins and Failed count the logins that succeeded and those that failed.
	Logins, Failed int64
}

// LastDay returns the last 24 hours, oldest first. The last one is not over.
func (s *Service) LastDay(ctx context.Context) ([]Hour, error) {
	first := s.Now().UTC().Truncate(time.Hour).Add(-23 * time.Hour)
	logins, err := s.Store.AuditHours(ctx, Login, first)
	if err != nil {
		return nil, err
	}
	failed, err := s.Store.AuditHours(ctx, LoginFailed, first)
	if err != nil {
		return nil, err
	}
	hours := make([]Hour, 24)
	for i := range hours {
		begins := first.Add(time.Duration(i) * time.Hour)
		hours[i] = Hour{begins, logins[begins], failed[begins]}
	}
	return hours, nil
}
