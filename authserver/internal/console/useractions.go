package console

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/adminapi"
)

// day returns a time for people.
func day(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") }

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// count returns a number with its noun, like "2 logins".
func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return decimal(n) + " " + noun + "s"
}

// confirmForUser returns a confirmation about the user of the page, who must exist, and how many logins it can end.
func (c *Console) confirmForUser(v *visit, title, button, doneKey string) (confirmation, string, error) {
	in := v.userIn()
	if _, err := c.api.GetUser(v.ctx(), &in); err != nil {
		return confirmation{}, "", err
	}
	n, err := c.api.CountLogins(v.ctx(), &in)
	if err != nil {
		return confirmation{}, "", err
	}
	back := v.userLink("")
	d := confirmation{
		title: fmt.Sprintf(title, in.Username), trail: append(usersTrail[:1:1], to(back, in.Username)),
		button: button, bad: true, back: back, next: v.userLink("", "done", doneKey),
	}
	return d, count(n.Body.Grants, "login") + " at apps and " + count(n.Body.Browsers, "browser session"), nil
}

// disabling serves /admin/user/disable.
func (c *Console) disabling(v *visit) (confirmation, error) {
	d, ends, err := c.confirmForUser(v, "Disable %s?", "Disable", "disabled")
	d.says = []string{
		"The user will not be able to log in until you enable the user again.", "This ends " + ends + " now.",
	}
	d.do = func(ctx context.Context, v *visit) error {
		_, err := c.api.DisableUser(ctx, &adminapi.ChangedUserIn{UserIn: v.userIn()})
		return err
	}
	return d, err
}

// enabling serves /admin/user/enable.
func (c *Console) enabling(v *visit) (confirmation, error) {
	d, _, err := c.confirmForUser(v, "Enable %s?", "Enable", "enabled")
	d.bad, d.says = false, []string{"The user will be able to log in again, with the same password and second factors."}
	d.do = func(ctx context.Context, v *visit) error {
		_, err := c.api.EnableUser(ctx, &adminapi.ChangedUserIn{UserIn: v.userIn()})
		return err
	}
	return d, err
}

// unlocking serves /admin/user/unlock.
func (c *Console) unlocking(v *visit) (confirmation, error) {
	d, _, err := c.confirmForUser(v, "Unlock %s?", "Unlock", "unlocked")
	d.bad, d.says = false, []string{"This clears the failed logins of the user, who can then try again at once. " +
		"So can somebody who is guessing the password."}
	d.do = func(ctx context.Context, v *visit) error {
		in := v.userIn()
		_, err := c.api.UnlockUser(ctx, &in)
		return err
	}
	return d, err
}

// deletingUser serves /admin/user/delete.
func (c *Console) deletingUser(v *visit) (confirmation, error) {
	d, ends, err := c.confirmForUser(v, "Delete %s?", "Delete the user", "")
	d.says = []string{"This ends " + ends + ", and deletes the account with its second factors and consents. " +
		"Data that apps and APIs have stored about the user stays there."}
	d.warns, d.next = "This cannot be undone.", address(usersPath, "done", "deleted")
	d.do = func(ctx context.Context, v *visit) error {
		_, err := c.api.DeleteUser(ctx, &adminapi.ChangedUserIn{UserIn: v.userIn()})
		return err
	}
	return d, err
}

// loggingOut serves /admin/user/logout.
func (c *Console) loggingOut(v *visit) (confirmation, error) {
	d, ends, err := c.confirmForUser(v, "Log %s out everywhere?", "Log out", "loggedout")
	d.says = []string{"This ends " + ends + ". The user can log in again."}
	d.do = func(ctx context.Context, v *visit) error {
		_, err := c.api.LogOutUser(ctx, &adminapi.LogOutUserIn{UserIn: v.userIn()})
		return err
	}
	return d, err
}

// removingFactors serves /admin/user/second-factors.
func (c *Console) removingFactors(v *visit) (confirmation, error) {
	d, ends, err := c.confirmForUser(v, "Remove all second factors of %s?", "Remove them", "factors")
	d.says = []string{
		"Do this for somebody who has lost them. First make sure that the request comes from that person: afterwards " +
			"the password alone is enough, unless a second factor is required.",
		"This ends " + ends + ", and deletes the recovery codes.",
	}
	d.do = func(ctx context.Context, v *visit) error {
		in := v.userIn()
		_, err := c.api.RemoveSecondFactors(ctx, &in)
		return err
	}
	return d, err
}

// endingSession serves /admin/user/session.
func (c *Console) endingSession(v *visit) (confirmation, error) {
	d, _, err := c.confirmForUser(v, "End this session of %s?", "End the session", "session")
	d.says = []string{"The user is logged out of that browser, and of the apps that were logged in to from it."}
	d.do = func(ctx context.Context, v *visit) error {
		_, err := c.api.EndSession(ctx, &adminapi.EndSessionIn{UserIn: v.userIn(), ID: v.query("id")})
		return err
	}
	return d, err
}

// endingGrant serves /admin/user/grant.
func (c *Console) endingGrant(v *visit) (confirmation, error) {
	d, _, err := c.confirmForUser(v, "End this login of %s?", "End the login", "grant")
	d.says = []string{"The app has to send the user here again. APIs that check for revoked tokens refuse its tokens " +
		"within about a second; others accept them until they expire."}
	d.do = func(ctx context.Context, v *visit) error {
		n, err := strconv.ParseInt(v.query("number"), 10, 64)
		if err != nil {
			n = 0 // no login has this number
		}
		_, err = c.api.EndGrant(ctx, &adminapi.EndGrantIn{UserIn: v.userIn(), Number: n})
		return err
	}
	return d, err
}

// revokingConsent serves /admin/user/consent.
func (c *Console) revokingConsent(v *visit) (confirmation, error) {
	d, _, err := c.confirmForUser(v, "Revoke this consent of %s?", "Revoke it", "consent")
	d.says = []string{"The user's logins at " + v.query("client") + " end, and the app has to ask the user again."}
	d.do = func(ctx context.Context, v *visit) error {
		_, err := c.api.RevokeConsent(ctx, &adminapi.RevokeConsentIn{UserIn: v.userIn(), ClientID: v.query("client")})
		return err
	}
	return d, err
}

// showReset serves GET /admin/user/password.
func (c *Console) showReset(v *visit) (page, error) {
	d, ends, err := c.confirmForUser(v, "Reset the password of %s", "", "")
	if err != nil {
		return page{}, err
	}
	return page{Title: d.title, Trail: d.trail, Sections: []section{{
		Text: []string{
			"Leave the field empty to send an email with a link. The current password works until the user chooses a new one.",
			"A password that you type here works at once, and ends " + ends + ".",
		},
		Form: &form{
			Fields: []*field{{
				Kind: kindPassword, Name: "password", Label: "New password", Complete: "new-password", Max: 1024,
				Hint:   "Tell it to the user in person, and ask the user to change it.",
				Faults: []error{account.ErrWeakPassword},
			}},
			Button: "Reset the password", Back: to(d.back, "Cancel"),
		},
	}}}, nil
}

// resetPassword serves POST /admin/user/password.
func (c *Console) resetPassword(v *visit) (page, error) {
	in := adminapi.ResetPasswordIn{UserIn: v.userIn()}
	in.Body.Password = v.form.Get("password")
	_, err := c.api.ResetPassword(v.ctx(), &in)
	what := "password"
	if in.Body.Password == "" {
		what = "mailed"
	}
	return goTo(v.userLink("", "done", what)), err
}
