package adminapi

import (
	"context"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
)

// Invitation is an invitation that nobody has used yet.
type Invitation struct {
	Email     string    `json:"email"`
	Name      string    `json:"name,omitempty" doc:"Display name that the page suggests"`
	Groups    []string  `json:"groups" nullable:"false" doc:"Groups that the user will be in"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

func showInvitation(i account.Invitation) Invitation {
	return Invitation{
		Email: i.Email, Name: i.Name, Groups: append([]string{}, i.Groups...),
		CreatedAt: *optional(i.CreatedAt), ExpiresAt: *optional(i.ExpiresAt),
	}
}

// ListInvitations lists the invitations that nobody has used yet, sorted by email address.
func (a *API) ListInvitations(ctx context.Context, in *PageIn) (*PageOut[Invitation], error) {
	page, err := in.page()
	if err != nil {
		return nil, err
	}
	read, err := a.cfg.Admin.Invitations(ctx, page)
	if err != nil {
		return nil, err
	}
	key := func(i account.Invitation) string { return i.Email }
	return pageOut(a, "/invitations", *in, read, showInvitation, key), nil
}

// NewInvitation is an invitation to make.
type NewInvitation struct {
	Email  string   `json:"email" maxLength:"254"`
	Name   string   `json:"name,omitempty" maxLength:"128" doc:"Display name that the page suggests"`
	Groups []string `json:"groups,omitempty" nullable:"false" maxItems:"50" doc:"Groups that the user will be in"`
}

// InviteIn is the input of Invite.
type InviteIn struct{ Body NewInvitation }

// InviteOut is the response with an invitation.
type InviteOut struct{ Body Invitation }

// Invite invites somebody to make an account, by a mail with a link. A second invitation of an address replaces the
// first.
func (a *API) Invite(ctx context.Context, in *InviteIn) (*InviteOut, error) {
	i, err := a.cfg.Admin.Invite(ctx, admin.NewInvitation(in.Body))
	if err != nil {
		return nil, err
	}
	return &InviteOut{Body: showInvitation(i)}, nil
}

// InvitationIn names an invitation.
type InvitationIn struct {
	Email string `path:"email" maxLength:"254"`
}

// WithdrawInvitation deletes an invitation.
func (a *API) WithdrawInvitation(ctx context.Context, in *InvitationIn) (*None, error) {
	return nothing(a.cfg.Admin.Withdraw(ctx, in.Email))
}
