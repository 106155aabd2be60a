package webhook

// Wait waits for the deliveries that have begun.
func (s *Sender) Wait() { s.sends.Wait() }
