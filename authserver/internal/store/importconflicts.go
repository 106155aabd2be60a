package store

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

// importedUser is what an importer compares of a user.
type importedUser struct{ id, username, hash, email string }

// importConflicts are the users with whom those of a batch may conflict.
type importConflicts struct {
	byID       map[string]bool
	bySkeleton map[string][]importedUser
	verified   map[string]bool // folded email addresses
	planned    map[string]struct{}
}

// findImported reads the users with an id, a skeleton or a verified address of one in a batch.
func (s *Store) findImported(ctx context.Context, users []account.User) (*importConflicts, error) {
	c := &importConflicts{
		byID: map[string]bool{}, bySkeleton: map[string][]importedUser{}, verified: map[string]bool{},
	}
	var ids, skeletons, emails []string
	for _, u := range users {
		ids, skeletons = append(ids, u.ID), append(skeletons, account.Skeleton(u.Username))
		if u.EmailVerified {
			emails = append(emails, account.FoldEmail(u.Email))
		}
	}
	read := func(column string, values []string, found func(account.User)) error {
		if len(values) == 0 {
			return nil
		}
		rows, err := list(ctx, s.write, "find imported users", scanUser,
			"SELECT "+userColumns+" FROM users WHERE "+column+" IN "+batchList, batchOf(values)...)
		for _, u := range rows {
			found(u)
		}
		return err
	}
	if err := read("id", ids, func(u account.User) { c.byID[u.ID] = true }); err != nil {
		return nil, err
	}
	if err := read("skeleton", skeletons, c.addName); err != nil {
		return nil, err
	}
	err := read("email_verified = 1 AND lower(email)", emails, func(u account.User) {
		c.verified[account.FoldEmail(u.Email)] = true
	})
	return c, err
}

// add adds a user, for the rest of the batch and, in a dry run, of the import.
func (c *importConflicts) add(u account.User) {
	c.byID[u.ID] = true
	c.addName(u)
	if u.EmailVerified {
		c.verified[account.FoldEmail(u.Email)] = true
	}
	if c.planned == nil {
		return
	}
	for _, key := range planKeys(u) {
		c.planned[key] = struct{}{}
	}
}

func (c *importConflicts) addName(u account.User) {
	skeleton := account.Skeleton(u.Username)
	c.bySkeleton[skeleton] = append(c.bySkeleton[skeleton],
		importedUser{u.ID, u.Username, u.PasswordHash, account.FoldEmail(u.Email)})
}

// planKeys returns digests of what no two users can have in common: the id, the skeleton and, if it is verified, the
// address.
func planKeys(u account.User) []string {
	texts := []string{"id " + u.ID, "name " + account.Skeleton(u.Username)}
	if u.EmailVerified {
		texts = append(texts, "address "+account.FoldEmail(u.Email))
	}
	for i, text := range texts {
		digest := sha256.Sum256([]byte(text))
		texts[i] = string(digest[:16])
	}
	return texts
}

// conflict returns why a user is not added: see Importer.Add.
func (c *importConflicts) conflict(u account.User) error {
	if c.byID[u.ID] {
		return ErrPresent
	}
	is := importedUser{u.ID, u.Username, u.PasswordHash, account.FoldEmail(u.Email)}
	same := c.bySkeleton[account.Skeleton(u.Username)]
	for _, other := range same {
		if other.username == is.username && other.hash == is.hash && other.email == is.email {
			return ErrPresent
		}
	}
	for _, other := range same {
		if other.username != is.username {
			return fmt.Errorf("%w: %q looks the same", errUserExists, other.username)
		}
	}
	if len(same) > 0 {
		return errUserExists
	}
	if u.EmailVerified && c.verified[is.email] {
		return account.ErrEmailTaken
	}
	return c.planConflict(u)
}

// planConflict compares a user with those that a dry run would have added.
func (c *importConflicts) planConflict(u account.User) error {
	if c.planned == nil {
		return nil
	}
	for i, key := range planKeys(u) {
		if _, ok := c.planned[key]; ok {
			return []error{ErrPresent, errUserExists, account.ErrEmailTaken}[i]
		}
	}
	return nil
}
