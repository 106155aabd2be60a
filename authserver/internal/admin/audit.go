package admin

import (
	"context"
	"errors"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// IDs returns the ids that a text may mean in the audit log: the text itself, as the id of a client or as another one,
// and the id of the user with this name. It returns nothing for no text. A user may have the name of a client, or of a
// user of the operating system, whose records must be found all the same.
func (s *Service) IDs(ctx context.Context, text string) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	u, err := s.User(ctx, text)
	if errors.Is(err, record.ErrNotFound) {
		return []string{text}, nil
	}
	return []string{u.ID, text}, err
}
