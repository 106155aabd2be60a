package console

import (
	"context"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/adminapi"
)

// listInvitations serves GET /admin/invitations.
func (c *Console) listInvitations(v *visit) (page, error) {
	out, err := c.api.ListInvitations(v.ctx(), &adminapi.PageIn{After: v.query("after"), Q: v.query("q")})
	if err != nil {
		return page{}, err
	}
	t := &table{
		Caption: "Invitations that nobody has used yet",
		Columns: []string{"Email", "Name", "Groups", "Sent", "Expires", "Withdraw"},
		Empty:   "There are no open invitations.",
	}
	for _, i := range out.Body.Items {
		t.Rows = append(t.Rows, []cell{
			text(i.Email), orNone(i.Name), list(i.Groups), at(i.CreatedAt), at(i.ExpiresAt),
			{Act: &act{Href: address(invitationsPath+"/withdraw", "email", i.Email), Text: "Withdraw",
				About: "the invitation of " + i.Email}},
		})
	}
	open := section{Title: "Open invitations", Table: t}
	open.Next, open.First = paging(v, invitationsPath, out.Body.Next)
	return page{Title: "Invitations", Done: done(v), Sections: []section{open, {
		Title: "Invite somebody",
		Text:  []string{"The person gets an email with a link to choose a username and a password."},
		Form: &form{
			Fields: []*field{
				{Kind: kindEmail, Name: "email", Label: "Email address", Required: true, Max: 254, Named: "email address",
					Faults: []error{account.ErrEmailTaken}},
				{Kind: kindText, Name: "name", Label: "Name", Hint: "The sign-up page suggests it.", Max: 128, Named: "name"},
				{Kind: kindText, Name: "groups", Label: "Groups", Hint: "Names with spaces between them."},
			},
			Button: "Send the invitation",
		},
	}}}, nil
}

// invite serves POST /admin/invitations.
func (c *Console) invite(v *visit) (page, error) {
	_, err := c.api.Invite(v.ctx(), &adminapi.InviteIn{Body: adminapi.NewInvitation{
		Email: v.typed("email"), Name: v.typed("name"), Groups: v.words("groups"),
	}})
	return goTo(address(invitationsPath, "done", "invited")), err
}

// withdrawing serves /admin/invitations/withdraw.
func (c *Console) withdrawing(v *visit) (confirmation, error) {
	email := v.query("email")
	return confirmation{
		title: "Withdraw the invitation?", trail: []link{to(invitationsPath, "Invitations")},
		says:   []string{"The link in the email to " + email + " will no longer work."},
		button: "Withdraw", bad: true, back: invitationsPath, next: address(invitationsPath, "done", "withdrawn"),
		do: func(ctx context.Context, _ *visit) error {
			_, err := c.api.WithdrawInvitation(ctx, &adminapi.InvitationIn{Email: email})
			return err
		},
	}, nil
}
