package adminapi

import (
	"context"
	"slices"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// User is a user as the API shows it.
type User struct {
	ID            string     `json:"id" doc:"Subject (sub) of the user's tokens"`
	Username      string     `json:"username"`
	Name          string     `json:"name" doc:"Display name"`
	Email         string     `json:"email,omitempty"`
	EmailVerified bool       `json:"email_verified"`
	Groups        []string   `json:"groups" nullable:"false"`
	Demo          bool       `json:"demo,omitempty" doc:"A user of the demo, whose password everybody knows"`
	CreatedAt     time.Time  `json:"created_at"`
	UpdatedAt     *time.Time `json:"updated_at,omitempty" doc:"When name, email or groups last changed"`
	LastLoginAt   *time.Time `json:"last_login_at,omitempty"`
	DisabledAt    *time.Time `json:"disabled_at,omitempty" doc:"Absent if the user is active"`
}

func showUser(u account.User) User {
	return User{
		ID: u.ID, Username: u.Username, Name: u.Name, Email: u.Email, EmailVerified: u.EmailVerified,
		Groups: append([]string{}, u.Groups...), Demo: u.Demo, CreatedAt: u.CreatedAt.UTC().Truncate(time.Second),
		UpdatedAt: optional(u.UpdatedAt), LastLoginAt: optional(u.LastLoginAt), DisabledAt: optional(u.DisabledAt),
	}
}

// ListUsers lists users, sorted by username. With q it lists those whose username, email address or name begins with
// it, in this order; letter case does not matter. A page of a search may be short, or empty, although there is a next.
func (a *API) ListUsers(ctx context.Context, in *PageIn) (*PageOut[User], error) {
	page, err := in.page()
	if err != nil {
		return nil, err
	}
	if in.Q != "" {
		found, next, err := a.cfg.Admin.SearchUsers(ctx, in.Q, page.After, in.limit())
		if err != nil {
			return nil, err
		}
		out := pageOut(a, "/users", *in, found, showUser, func(u account.User) string { return u.Username })
		setNext(a, out, "/users", *in, next)
		return out, nil
	}
	read, err := a.cfg.Admin.Users(ctx, page)
	if err != nil {
		return nil, err
	}
	return pageOut(a, "/users", *in, read, showUser, func(u account.User) string { return u.Username }), nil
}

// UserDetail is a user as it is shown alone.
type UserDetail struct {
	User
	Note string `json:"note,omitempty" doc:"What to do about this administrator's second factor, if anything"`
}

// UserOut is the response with a user.
type UserOut struct {
	ETag string `header:"ETag"`
	Body UserDetail
}

// userOut returns the response with a user and a note, which may be empty.
func userOut(u account.User, note string) *UserOut {
	shown := showUser(u)
	return &UserOut{ETag: ETag(shown), Body: UserDetail{User: shown, Note: note}}
}

// The notes of a UserDetail.
const (
	// NoteNoFactor is about an administrator who has no second factor.
	NoteNoFactor = "This administrator has no second factor, and cannot work without. The command 'authserver user set " +
		"NAME --enrol-link', on the machine of the server, prints the link that adds it."
	// NoteOwnFactor is about a user who had a second factor before joining the group of administrators, also one who is
	// disabled now. It is in the response to that change only.
	NoteOwnFactor = "This administrator has added a second factor before. Make sure that it is the person's own, and " +
		"not of somebody who knew the password. If you are not sure, remove it, and let the command 'authserver user set " +
		"NAME --enrol-link' print a link for a new one."
)

// noteAbout returns one of the notes about a member of the group of administrators, or nothing. promoted says that the
// user has just joined the group.
func (a *API) noteAbout(ctx context.Context, u account.User, promoted bool) (string, error) {
	if u.Demo || !slices.Contains(u.Groups, account.AdminGroup) || a.cfg.WithoutSecondFactor {
		return "", nil
	}
	has, err := a.cfg.Admin.Store.HasSecondFactor(ctx, u.ID)
	switch {
	case err != nil:
		return "", err
	case !has && u.Active():
		return NoteNoFactor, nil
	case has && promoted:
		return NoteOwnFactor, nil
	}
	return "", nil
}

// NewUser is a user to create.
type NewUser struct {
	Username      string   `json:"username" maxLength:"128"`
	Name          string   `json:"name,omitempty" maxLength:"128" doc:"Display name; the username by default"`
	Email         string   `json:"email,omitempty" maxLength:"254"`
	EmailVerified bool     `json:"email_verified,omitempty" doc:"Somebody has checked that the address is the user's"`
	Groups        []string `json:"groups,omitempty" nullable:"false" maxItems:"50"`
	Password      *string  `json:"password,omitempty" maxLength:"1024" doc:"Without one, the user gets an email with a link to choose one, which needs a verified address"`
}

// CreateUserIn is the input of CreateUser.
type CreateUserIn struct{ Body NewUser }

// CreatedUserOut is the response with a new user.
type CreatedUserOut struct {
	Location string `header:"Location"`
	ETag     string `header:"ETag"`
	Body     UserDetail
}

// CreateUser creates a user.
func (a *API) CreateUser(ctx context.Context, in *CreateUserIn) (*CreatedUserOut, error) {
	u, err := a.cfg.Admin.CreateUser(ctx, admin.NewUser(in.Body))
	if err != nil {
		return nil, err
	}
	note := ""
	if u.Administers() && !a.cfg.WithoutSecondFactor { // a new user has no second factor
		note = NoteNoFactor
	}
	out := userOut(u, note)
	return &CreatedUserOut{Location: a.location("users", u.Username), ETag: out.ETag, Body: out.Body}, nil
}

// UserIn names a user.
type UserIn struct {
	Username string `path:"username" doc:"Username, escaped as in every URL"`
}

// ChangedUserIn names a user that must not have changed.
type ChangedUserIn struct {
	UserIn
	IfMatch string `header:"If-Match" doc:"ETag of the user; the response is 412 if it has changed since"`
}

func (in ChangedUserIn) match() func(account.User) bool { return matching(in.IfMatch, showUser) }

// GetUser shows a user.
func (a *API) GetUser(ctx context.Context, in *UserIn) (*UserOut, error) {
	u, err := a.cfg.Admin.User(ctx, in.Username)
	if err != nil {
		return nil, err
	}
	note, err := a.noteAbout(ctx, u, false)
	if err != nil {
		return nil, err
	}
	return userOut(u, note), nil
}

// UserPatch is a change of a user. What is left out stays as it is.
type UserPatch struct {
	Name          *string   `json:"name,omitempty" maxLength:"128" doc:"Display name"`
	Email         *string   `json:"email,omitempty" maxLength:"254" doc:"Empty for none. It is not verified unless email_verified says so"`
	EmailVerified *bool     `json:"email_verified,omitempty"`
	Groups        *[]string `json:"groups,omitempty" maxItems:"50" doc:"All groups of the user"`
	AddGroups     []string  `json:"add_groups,omitempty" nullable:"false" maxItems:"50" doc:"Groups to add to the present ones"`
	RemoveGroups  []string  `json:"remove_groups,omitempty" nullable:"false" maxItems:"50" doc:"Groups to remove from the present ones"`
	VerifyEmail   bool      `json:"verify_email,omitempty" doc:"Send an email with a link to verify the address"`
}

// ChangeUserIn is the input of ChangeUser.
type ChangeUserIn struct {
	ChangedUserIn
	Body UserPatch
}

// ChangeUser changes a user.
func (a *API) ChangeUser(ctx context.Context, in *ChangeUserIn) (*UserOut, error) {
	var was account.User
	match := in.match()
	u, err := a.cfg.Admin.ChangeUser(ctx, in.Username, admin.UserPatch(in.Body), func(current account.User) bool {
		was = current
		return match == nil || match(current)
	})
	if err != nil {
		return nil, err
	}
	note, err := a.noteAbout(ctx, u, !slices.Contains(was.Groups, account.AdminGroup))
	if err != nil { // the user is changed all the same
		a.unread(ctx, "second factors", err)
	}
	return userOut(u, note), nil
}

// DeleteUser deletes a user and ends all logins of the user.
func (a *API) DeleteUser(ctx context.Context, in *ChangedUserIn) (*None, error) {
	return nothing(a.cfg.Admin.DeleteUser(ctx, in.Username, in.match()))
}

// DisableUser prevents a user from logging in, and ends all logins of the user.
func (a *API) DisableUser(ctx context.Context, in *ChangedUserIn) (*None, error) {
	return nothing(a.cfg.Admin.DisableUser(ctx, in.Username, in.match()))
}

// EnableUser lets a disabled user log in again.
func (a *API) EnableUser(ctx context.Context, in *ChangedUserIn) (*None, error) {
	return nothing(a.cfg.Admin.EnableUser(ctx, in.Username, in.match()))
}

// LogOutUserIn is the input of LogOutUser.
type LogOutUserIn struct {
	UserIn
	ClientID string `query:"client_id" doc:"End only the logins at this client"`
}

// LogOutUser ends all logins of a user, in browsers and at clients.
func (a *API) LogOutUser(ctx context.Context, in *LogOutUserIn) (*None, error) {
	return nothing(a.cfg.Admin.LogOut(ctx, in.Username, in.ClientID))
}

// UnlockUser forgets the failed logins of a user, who can try again at once.
func (a *API) UnlockUser(ctx context.Context, in *UserIn) (*None, error) {
	return nothing(a.cfg.Admin.Unlock(ctx, in.Username))
}

// ResetPasswordIn is the input of ResetPassword.
type ResetPasswordIn struct {
	UserIn
	Body struct {
		Password string `json:"password,omitempty" maxLength:"1024" doc:"The new password. All logins of the user end. Without one, the user gets an email with a link to choose one, and the current one works until then"`
	}
}

// ResetPassword sets the password of a user, or sends the user a mail with a link to choose one.
func (a *API) ResetPassword(ctx context.Context, in *ResetPasswordIn) (*None, error) {
	if in.Body.Password == "" {
		return nothing(a.cfg.Admin.MailPasswordLink(ctx, in.Username))
	}
	return nothing(a.cfg.Admin.SetPassword(ctx, in.Username, in.Body.Password))
}

// Group is a group of users.
type Group struct {
	Name    string `json:"name"`
	Members int64  `json:"members" doc:"How many users are in it, also disabled ones"`
}

// ListGroups lists the groups that users are in, sorted by name.
func (a *API) ListGroups(ctx context.Context, _ *struct{}) (*ListOut[Group], error) {
	groups, err := a.cfg.Admin.Groups(ctx)
	return listOut(groups, err, func(g store.Group) Group { return Group(g) })
}
