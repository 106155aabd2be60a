package store_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// person is a user of whom every table has something. What can identify the user has "zebra" in it.
type person struct {
	t    *testing.T
	s    *store.Store
	user account.User
	now  time.Time
}

func (p *person) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// fill stores what belongs to the user.
func (p *person) fill() {
	p.t.Helper()
	ctx, s, place := p.t.Context(), p.s, account.Place{Address: "zebra::1", Agent: "zebra browser"}
	until := p.now.Add(time.Hour)
	p.must(s.CreateUser(ctx, p.user))
	c := client.Client{ID: "app", Name: "App", Grants: []oauth.GrantType{oauth.GrantPassword}, CreatedAt: p.now}
	p.must(s.CreateClient(ctx, c))
	login := p.user
	login.Login = account.FailureKey{Account: "x", Address: "x", KnownAs: "zebra address"}
	p.must(s.StartSession(ctx, store.NewSession{
		Digest: "zebra session", User: login, Place: place, CreatedAt: p.now, ExpiresAt: until,
	}))
	p.must(s.CreateCode(ctx, grant.Code{
		Digest: "zebra code", ClientID: "app", UserID: p.user.ID, Session: "zebra session",
		CreatedAt: p.now, ExpiresAt: until,
	}))
	for _, session := range []string{"zebra session", ""} {
		_, err := s.StartGrant(ctx, grant.Grant{
			Type: oauth.GrantPassword, ClientID: "app", UserID: p.user.ID, Session: session, Place: place,
			CreatedAt: p.now, ExpiresAt: until,
			Authentication: grant.Authentication{At: p.now, Methods: []string{"pwd"}, SessionID: "zebra sid"},
		})
		p.must(err)
	}
	p.must(s.AddConsent(ctx, p.user.ID, "app", "", oauth.Scope{"profile"}, p.now))
	p.must(s.RevokeConsent(ctx, p.user.ID, "app", p.now))
	p.must(s.AddConsent(ctx, p.user.ID, "app", "", oauth.Scope{"profile"}, p.now))
	_, err := s.ReserveTry(ctx, account.NewFailureKey(p.user.ID, "192.0.2.1"), p.now)
	p.must(err)
	for _, l := range []account.Link{
		{Digest: "zebra link", Kind: account.ResetLink},
		{Digest: "zebra new", Kind: account.ChangeLink, NewEmail: "new@zebra.example"},
	} {
		l.User, l.CreatedAt, l.ExpiresAt = p.user, p.now, until
		p.must(s.CreateLink(ctx, l))
	}
	p.must(s.CreateSignUpLink(ctx, account.SignUpLink{
		Digest: "x", Email: p.user.Email, CreatedAt: p.now, ExpiresAt: until,
	}))
	for _, typed := range []string{p.user.Username, "ZEBRA@example.com"} {
		p.must(s.RequestMail(ctx, mail.Request{Kind: mail.ResetPassword, Typed: typed, Network: "n", CreatedAt: p.now}))
	}
	p.must(s.AddToInbox(ctx, mail.Message{To: p.user.Email, Subject: "zebra", Text: "Hello zebra"}, p.now))
	renewal := account.Renewal{From: "zebra session", To: "zebra session"}
	p.must(s.ChangePassword(ctx, p.user, "zebra hash 2", renewal, p.now))
	p.user.PasswordVersion++
}

// left returns the texts in the database that can identify the user, but for the address in the audit log.
func (p *person) left() (found []string) {
	p.t.Helper()
	texts, err := p.s.Texts(p.t.Context())
	p.must(err)
	for _, text := range texts {
		if strings.Contains(strings.ToLower(text), "zebra") && text != "zebra::1" {
			found = append(found, text)
		}
	}
	return found
}

// addressesInLogOnly checks that nothing but the audit log has the user's address.
func (p *person) addressesInLogOnly() {
	p.t.Helper()
	texts, err := p.s.Texts(p.t.Context())
	p.must(err)
	records, err := p.s.AuditRecords(p.t.Context(), audit.Filter{Address: "zebra::1"}, audit.Page{})
	p.must(err)
	left := 0
	for _, text := range texts {
		if text == "zebra::1" {
			left++
		}
	}
	if left != len(records) {
		p.t.Errorf("the address is in the database %d times, want that of %d records only", left, len(records))
	}
}

// Nothing of a user is left in the database once the account is deleted and the mail about that is sent. Events that a
// server has still to log have the user's id in place of the username. The audit log, which nobody can change, has only
// ids and addresses.
func TestNothingIsLeftOfADeletedAccount(t *testing.T) {
	t.Parallel()
	for engine, open := range map[string]func(testing.TB) *store.Store{
		"SQLite": freshSQLite, "PostgreSQL": freshPostgres,
	} {
		t.Run(engine, func(t *testing.T) {
			now := time.Unix(1_800_000_000, 0)
			p := &person{t: t, s: open(t), now: now, user: account.User{
				ID: "usr_1", Username: "zebra", Name: "Zebra", Email: "zebra@example.com", EmailVerified: true,
				Groups: []string{"zebras"}, PasswordHash: "zebra hash", CreatedAt: now,
			}}
			p.fill()
			if before := p.left(); len(before) < 15 {
				t.Fatalf("the test stores too little: %q", before)
			}
			p.must(p.s.DeleteAccount(t.Context(), p.user, now))
			p.addressesInLogOnly()
			if left := p.left(); !slices.Equal(left, []string{p.user.Email}) {
				t.Errorf("before the mail, the database has %q", left)
			}
			requests, err := p.s.TakeMailRequests(t.Context(), now, now.Add(time.Minute), 10)
			p.must(err)
			for _, m := range requests {
				p.must(p.s.FinishMailRequest(t.Context(), m))
			}
			if left := p.left(); len(left) > 0 {
				t.Errorf("the database still has %q", left)
			}
			texts, err := p.s.Texts(t.Context())
			p.must(err)
			events, err := p.s.TakeAdminEvents(t.Context(), 10)
			p.must(err)
			records, err := p.s.AuditRecords(t.Context(), audit.Filter{About: []string{"usr_1"}}, audit.Page{})
			p.must(err)
			ids, inLog := 0, 0
			for _, r := range records {
				for _, id := range []string{r.Actor.ID, r.Subject.ID} {
					if id == "usr_1" {
						inLog++
					}
				}
				if r.Actor.Name != "" || r.Subject.Name != "" {
					t.Errorf("record %+v still has a name", r)
				}
			}
			for _, text := range texts {
				if text == "usr_1" {
					ids++
				}
			}
			if ids != len(events)+inLog || len(events) == 0 || inLog == 0 {
				t.Errorf("the user's id is in the database %d times, want those of the events %+v and %d in the audit log only",
					ids, events, inLog)
			}
		})
	}
}
