package items

// Queued returns the number of writes that wait to be committed.
func (s *Store) Queued() int { return s.db.Load().QueuedWrites() }
