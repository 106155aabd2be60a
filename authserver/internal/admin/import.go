package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/passwordhash"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// ImportBatch is how many users Import.Add takes at once.
const ImportBatch = store.ImportBatch

// Results of single users of an import, besides record.ErrExists, account.ErrEmailTaken and the errors about what is
// not valid: account.ErrBadName, account.ErrBadIdentity and passwordhash.ErrHash.
var (
	// ErrPresent means that an earlier import has added the user.
	ErrPresent = store.ErrPresent
	// errNoName means that the user has neither a username nor an email address.
	errNoName = errors.New("there is neither a username nor an email address")
	// errAdministrator means that the user would be an administrator, which the import does not allow.
	errAdministrator = errors.New("the user would be in the group " + account.AdminGroup + ", whose members administer " +
		"the server")
)

// ImportedUser is a user of another system.
type ImportedUser struct {
	// Source is the kind of system, such as keycloak. SourceID is the id there; it may be empty.
	Source, SourceID string
	// Username may be empty: then it is the email address. Each @ in it becomes a dot.
	Username string
	// Name is the display name. If it is empty, it is the username.
	Name          string
	Email         string
	EmailVerified bool
	Groups        []string
	Disabled      bool
	// PasswordHash is a hash that passwordhash.Foreign accepts, or empty for a user without a password.
	PasswordHash string
	// CreatedAt is when the user was created there; zero if that is not known.
	CreatedAt time.Time
}

// Import adds users of another system. It is not safe for concurrent use.
type Import struct {
	service     *Service
	importer    *store.Importer
	allowAdmins bool
}

// ImportOptions say how users are imported.
type ImportOptions struct {
	// DryRun checks everything and adds nobody. It keeps about 200 bytes for each user in memory.
	DryRun bool
	// AllowAdmins adds users to the group of administrators.
	AllowAdmins bool
}

// NewImport begins an import.
func (s *Service) NewImport(o ImportOptions) *Import {
	return &Import{service: s, importer: s.Store.NewImporter(o.DryRun), allowAdmins: o.AllowAdmins}
}

// Add adds up to ImportBatch users in one transaction. For each user, it returns why the user was not added, or nil.
// err is an error of ctx or the database: then none of the batch was added.
func (i *Import) Add(ctx context.Context, users []ImportedUser) (why []error, err error) {
	now := i.service.Now()
	why = make([]error, len(users))
	var valid []account.User
	var places []int // of the valid users
	for n, u := range users {
		prepared, err := i.prepare(u, now)
		if err != nil {
			why[n] = err
			continue
		}
		valid, places = append(valid, prepared), append(places, n)
	}
	if len(valid) == 0 {
		return why, nil
	}
	results, err := i.importer.Add(ctx, valid, now)
	if err != nil {
		return nil, err
	}
	for n, result := range results {
		why[places[n]] = result
	}
	return why, nil
}

// prepare returns a user as it is stored, or why the user is refused.
func (i *Import) prepare(u ImportedUser, now time.Time) (account.User, error) {
	username := usernameOf(u.Username, u.Email)
	if username == "" {
		return account.User{}, errNoName
	}
	user, err := account.New(username, cmp.Or(strings.TrimSpace(u.Name), strings.TrimSpace(username)), "", now)
	if err != nil {
		return account.User{}, err
	}
	user.Email, user.EmailVerified, user.Groups = u.Email, u.EmailVerified, u.Groups
	if user, err = user.PrepareIdentity(); err != nil {
		return account.User{}, err
	}
	if slices.Contains(user.Groups, account.AdminGroup) && !i.allowAdmins {
		return account.User{}, errAdministrator
	}
	if u.PasswordHash != "" {
		hash, err := passwordhash.Foreign(u.PasswordHash)
		if err != nil {
			return account.User{}, err
		}
		user.PasswordHash = hash.String()
	}
	if u.SourceID != "" {
		user.ID = importedID(u.Source, u.SourceID)
	}
	if u.Disabled {
		user.DisabledAt = now
	}
	if !u.CreatedAt.IsZero() && u.CreatedAt.Before(now) && u.CreatedAt.Unix() > 0 {
		user.CreatedAt = u.CreatedAt
	}
	return user, nil
}

// usernameOf returns the username of an imported user: the original one or, without one, the email address. Usernames
// have no @, since people can log in with an email address too: ada@example.com becomes ada.example.com.
func usernameOf(username, email string) string {
	name := strings.TrimSpace(username)
	if name == "" {
		name = account.FoldEmail(email)
	}
	return strings.ReplaceAll(name, "@", ".")
}

// importedIDs is the namespace of ids that are derived from those of other systems (RFC 9562 section 5.5).
var importedIDs = uuid.MustParse("b5a0e0c4-4f3c-4f0a-9a0e-0c6b5a7c2d11")

// importedID returns the id of a user who has an id elsewhere. It is the same each time, so that an import can be
// repeated. A UUID is kept, so that an API that knows the user by the old id finds it in the new one.
func importedID(source, id string) string {
	if parsed, err := uuid.Parse(id); err == nil && len(id) == len(parsed.String()) {
		return account.IDPrefix + parsed.String()
	}
	return account.IDPrefix + uuid.NewSHA1(importedIDs, fmt.Appendf(nil, "%s %s", source, id)).String()
}
