package storetest

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var auditTests = []test{
	{"changes are recorded, with who made them", testChangesAreRecorded},
	{"the right to administer is recorded", testRightsAreRecorded},
	{"a change that fails is not recorded", testFailedChangeIsNotRecorded},
	{"records of a deleted user keep a pseudonym", testPseudonyms},
	{"records are found by what they are about", testAuditFilters},
	{"records are paged", testAuditPages},
	{"logins are counted by hour", testAuditHours},
	{"records are sealed once, by one of many servers", testSealing},
	{"a record that is committed late is sealed", testLateRecord},
	{"old records are dropped, and the chain goes on", testRetention},
	{"addresses of invitations are forgotten with their records", testForgetNames},
	{"an address that a user no longer has is forgotten", testForgetOldAddress},
}

// byAdmin returns the context of an administrator's request.
func byAdmin(ctx context.Context) context.Context {
	return audit.WithActor(ctx, audit.Actor{
		Kind: audit.User, ID: "usr_admin", Address: "192.0.2.7", ClientID: "console", RequestID: "req-1",
	})
}

// addRecord adds a record of a user at a time.
func addRecord(t testing.TB, s *store.Store, event, userID string, at time.Time) {
	t.Helper()
	must(t, s.Record(t.Context(), audit.Event{
		Name: event, At: at, Subject: audit.Subject{Kind: audit.SubjectUser, ID: userID},
	}))
}

// recorded returns what is in the audit log, oldest first.
func recorded(t testing.TB, s *store.Store, f audit.Filter) []audit.Record {
	t.Helper()
	records, err := s.AuditRecords(t.Context(), f, audit.Page{OldestFirst: true})
	must(t, err)
	return records
}

// auditedChange is a change and the record of it.
type auditedChange struct {
	event, kind, subject string
	run                  func() error
}

func userChanges(ctx context.Context, s *store.Store, u account.User) []auditedChange {
	keepUser := func(u account.User) (account.User, error) { u.Groups = []string{"staff"}; return u, nil }
	return []auditedChange{
		{"user_changed", "user", u.ID, func() error { _, err := s.UpdateUser(ctx, u.Username, start, keepUser); return err }},
		{"user_password_set", "user", u.ID, func() error { return s.SetPassword(ctx, u.Username, "hash", start) }},
		{"user_disabled", "user", u.ID, func() error { return s.DisableUser(ctx, u.Username, start) }},
		{"user_enabled", "user", u.ID, func() error { return s.EnableUser(ctx, u.Username, start) }},
		{"user_logged_out", "user", u.ID, func() error { return s.LogOut(ctx, u.Username, "app", start) }},
		{"account_name_changed", "user", u.ID, func() error { return s.ChangeName(ctx, u.ID, "New", start) }},
		{"account_logins_ended", "user", u.ID, func() error { return s.EndOtherLogins(ctx, u.ID, "", start) }},
		{"consent", "user", u.ID, func() error {
			return s.AddConsent(ctx, u.ID, "app", "", oauth.Scope{"profile"}, start)
		}},
		{"consent_revoked", "user", u.ID, func() error { return s.RevokeConsent(ctx, u.ID, "app", start) }},
		{"user_second_factors_removed", "user", u.ID, func() error {
			_, err := s.RemoveSecondFactors(ctx, u.Username, start)
			return err
		}},
	}
}

func clientChanges(ctx context.Context, s *store.Store) []auditedChange {
	keepClient := func(c client.Client) (client.Client, error) { c.Name = "Other"; return c, nil }
	return []auditedChange{
		{"client_changed", "client", "app", func() error {
			_, err := s.UpdateClient(ctx, "app", start, keepClient)
			return err
		}},
		{"client_secret_set", "client", "app", func() error { return s.SetClientSecret(ctx, "app", "digest", start) }},
		{"client_secret_added", "client", "app", func() error {
			return s.AddClientSecret(ctx, "app", "digest 2", start, start)
		}},
		{"client_old_secret_ended", "client", "app", func() error { return s.EndOldClientSecret(ctx, "app", start) }},
		{"client_secret_replaced", "client", "app", func() error {
			return s.ReplaceClientSecret(ctx, "app", "digest 3", start)
		}},
		{"client_deleted", "client", "app", func() error { return s.DeleteClient(ctx, "app", start) }},
	}
}

// otherChanges ends with the deletion of the user.
func otherChanges(ctx context.Context, s *store.Store, u account.User) []auditedChange {
	keepAPI := func(a resource.API) (resource.API, error) { a.Name = "Other"; return a, nil }
	const api = "https://api.example"
	return []auditedChange{
		{"api_added", "api", api, func() error {
			return s.CreateAPI(ctx, resource.API{Audience: api, Name: "API", CreatedAt: start})
		}},
		{"api_changed", "api", api, func() error { _, err := s.UpdateAPI(ctx, api, start, keepAPI); return err }},
		{"api_deleted", "api", api, func() error { return s.DeleteAPI(ctx, api, start) }},
		{"scope_described", "scope", "x", func() error {
			return s.DescribeScope(ctx, resource.ScopeDescription{Scope: "x", Text: "X"}, start)
		}},
		{"scope_forgotten", "scope", "x", func() error { return s.ForgetScope(ctx, "x", start) }},
		{"database_restored", "database", "epoch", func() error { _, err := s.StartEpoch(ctx, "epoch", start); return err }},
		{"user_deleted", "user", u.ID, func() error { return s.DeleteUser(ctx, u.Username, start) }},
	}
}

func testChangesAreRecorded(t *testing.T, s *store.Store) {
	ctx := byAdmin(t.Context())
	u, c := newUser("john.doe"), newClient("app")
	must(t, s.CreateUser(ctx, u))
	must(t, s.CreateClient(ctx, c))
	for _, change := range slices.Concat(userChanges(ctx, s, u), clientChanges(ctx, s), otherChanges(ctx, s, u)) {
		must(t, change.run())
		found := recorded(t, s, audit.Filter{Event: change.event})
		if len(found) != 1 {
			t.Errorf("%s: %d records, want 1", change.event, len(found))
			continue
		}
		r := found[0]
		want := audit.Actor{Kind: audit.User, ID: "usr_admin", Address: "192.0.2.7", ClientID: "console", RequestID: "req-1"}
		if strings.HasPrefix(change.event, "consent") { // what the change says is more exact
			want.ClientID = "app"
		}
		if diff := cmp.Diff(want, r.Actor); diff != "" {
			t.Errorf("%s: actor (-want +got):\n%s", change.event, diff)
		}
		if r.Subject.Kind != change.kind || r.Subject.ID != change.subject || r.Outcome != audit.Success || r.Count != 1 ||
			!r.At.Equal(start) {
			t.Errorf("%s: got %+v", change.event, r)
		}
	}
}

// Records say who may administer from then on, or no longer, also if the user or client is deleted.
func testRightsAreRecorded(t *testing.T, s *store.Store) {
	ctx := byAdmin(t.Context())
	for _, u := range []account.User{newUser("ada"), newUser("bea"), newUser("carl")} {
		u.Groups = []string{account.AdminGroup}
		must(t, s.CreateUser(ctx, u))
	}
	plain, robot := newUser("plain"), newClient("robot")
	robot.Admin = true
	must(t, s.CreateUser(ctx, plain))
	must(t, s.CreateClient(ctx, robot))
	must(t, s.CreateClient(ctx, newClient("app")))
	ada, err := s.UserByUsername(ctx, "ada")
	must(t, err)
	ada.Groups = nil // read before somebody else made ada an administrator
	invitation := account.Invitation{
		Email: "dora@example.com", Groups: []string{account.AdminGroup}, CreatedAt: start, ExpiresAt: start.Add(time.Hour),
	}
	dora := newUser("dora")
	dora.Email, dora.EmailVerified = invitation.Email, true
	for _, step := range []struct {
		event, want string
		run         func() error
	}{
		{"account_deleted", "taken", func() error { return s.DeleteAccount(ctx, ada, start) }},
		{"user_deleted", "taken", func() error { return s.DeleteUser(ctx, "bea", start) }},
		{"user_deleted", "", func() error { return s.DeleteUser(ctx, plain.Username, start) }},
		{"client_deleted", "taken", func() error { return s.DeleteClient(ctx, robot.ID, start) }},
		{"client_deleted", "", func() error { return s.DeleteClient(ctx, "app", start) }},
		{"invitation_made", "", func() error { return s.Invite(ctx, invitation, nil) }},
		{"signed_up", "given", func() error {
			must(t, s.CreateSignUpLink(ctx, account.SignUpLink{
				Digest: "link", Email: dora.Email, CreatedAt: start, ExpiresAt: start.Add(time.Hour),
			}))
			return s.SignUp(ctx, "link", dora, true, start)
		}},
	} {
		before := len(recorded(t, s, audit.Filter{Event: step.event}))
		must(t, step.run())
		found := recorded(t, s, audit.Filter{Event: step.event})[before:]
		if len(found) != 1 || found[0].Details["administrator"] != step.want {
			t.Errorf("%s is recorded as %+v, want %q", step.event, found, step.want)
		}
	}
}

func testFailedChangeIsNotRecorded(t *testing.T, s *store.Store) {
	ctx := byAdmin(t.Context())
	must(t, s.CreateUser(ctx, newUser("john.doe")))
	if err := s.CreateUser(ctx, newUser("john.doe")); !errors.Is(err, record.ErrExists) {
		t.Errorf("got %v, want %v", err, record.ErrExists)
	}
	expect(t, "ending a session of nobody", s.DeleteSession(ctx, "nobody's", true, start), nil)
	if n := len(recorded(t, s, audit.Filter{})); n != 1 {
		t.Errorf("%d records, want that of the first user only", n)
	}
}

// What the log has of somebody whose account is deleted is an id that nothing leads back to (issue 17).
func testPseudonyms(t *testing.T, s *store.Store) {
	ctx := t.Context()
	invitation := account.Invitation{Email: "John@example.com", CreatedAt: start, ExpiresAt: start.Add(time.Hour)}
	must(t, s.Invite(byAdmin(ctx), invitation, nil))
	if r := recorded(t, s, audit.Filter{Event: "invitation_made"}); r[0].Subject.Name != "john@example.com" {
		t.Errorf("the invitation is shown as %+v", r[0].Subject)
	}
	link := account.SignUpLink{
		Digest: "link", Email: "John@example.com", CreatedAt: start, ExpiresAt: start.Add(time.Hour),
	}
	must(t, s.CreateSignUpLink(ctx, link))
	u := newUser("john.doe")
	u.Email, u.EmailVerified = "John@example.com", true
	must(t, s.SignUp(audit.WithActor(ctx, audit.Actor{Kind: audit.User}), "link", u, true, start))
	r := recorded(t, s, audit.Filter{Event: "signed_up"})[0]
	if r.Actor.ID != u.ID || r.Actor.Name != "john.doe" || r.Details["invitation"] == "" {
		t.Errorf("the sign-up is %+v", r)
	}
	must(t, s.DeleteAccount(audit.WithActor(ctx, audit.Actor{Kind: audit.User}), u, start))
	for _, r := range recorded(t, s, audit.Filter{}) {
		text := strings.ToLower(strings.Join([]string{r.Actor.Name, r.Subject.ID, r.Subject.Name}, " "))
		for _, value := range r.Details {
			text += " " + strings.ToLower(value)
		}
		if strings.Contains(strings.ReplaceAll(text, u.ID, ""), "john") {
			t.Errorf("%s still has a name: %q", r.Event, text)
		}
	}
	if r := recorded(t, s, audit.Filter{Subject: []string{u.ID}}); r[len(r)-1].Event != "account_deleted" {
		t.Errorf("the last record is %s", r[len(r)-1].Event)
	}
}

func testAuditFilters(t *testing.T, s *store.Store) {
	ctx := t.Context()
	for i, r := range []struct{ event, user, address, client string }{
		{"login", "usr_1", "192.0.2.1", "app"},
		{"login_failed", "usr_1", "192.0.2.2", "app"},
		{"login", "usr_2", "192.0.2.1", "other"},
		{"logout", "usr_2", "", ""},
	} {
		as := audit.WithActor(ctx, audit.Actor{Kind: audit.User, Address: r.address})
		e := audit.Event{
			Name: r.event, At: start.Add(time.Duration(i) * time.Minute), ClientID: r.client,
			Subject: audit.Subject{Kind: audit.SubjectUser, ID: r.user},
		}
		if r.event == "login_failed" {
			e.Outcome = audit.Failure
		}
		must(t, s.Record(as, e))
	}
	minute := func(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }
	for name, tt := range map[string]struct {
		filter audit.Filter
		want   string
	}{
		"all":     {audit.Filter{}, "login login_failed login logout"},
		"event":   {audit.Filter{Event: "login"}, "login login"},
		"events":  {audit.Filter{Event: "login*"}, "login login_failed login"},
		"subject": {audit.Filter{Subject: []string{"usr_2"}}, "login logout"},
		"actor":   {audit.Filter{Actor: []string{"usr_1"}}, "login"},
		"about":   {audit.Filter{About: []string{"usr_1"}}, "login login_failed"},
		"either":  {audit.Filter{Subject: []string{"usr_2", "usr_1"}}, "login login_failed login logout"},
		"twice":   {audit.Filter{About: []string{"usr_1", "nobody", "usr_1"}}, "login login_failed"},
		"address": {audit.Filter{Address: "192.0.2.1"}, "login login"},
		"client":  {audit.Filter{ClientID: "app"}, "login login_failed"},
		"outcome": {audit.Filter{Outcome: audit.Failure}, "login_failed"},
		"since":   {audit.Filter{Since: minute(2)}, "login logout"},
		"until":   {audit.Filter{Until: minute(2)}, "login login_failed"},
		"both":    {audit.Filter{Since: minute(1), Until: minute(2), Subject: []string{"usr_1"}}, "login_failed"},
		"nothing": {audit.Filter{Event: "unknown"}, ""},
	} {
		var got []string
		for _, r := range recorded(t, s, tt.filter) {
			got = append(got, r.Event)
		}
		if text := strings.Join(got, " "); text != tt.want {
			t.Errorf("%s: got %q, want %q", name, text, tt.want)
		}
	}
}

func testAuditPages(t *testing.T, s *store.Store) {
	const all = 7
	for i := range all {
		addRecord(t, s, "event_"+strconv.Itoa(i), "usr_1", start.Add(time.Duration(i)*time.Second))
	}
	var got []string
	for page := (audit.Page{Limit: 3}); ; {
		records, err := s.AuditRecords(t.Context(), audit.Filter{}, page)
		must(t, err)
		for _, r := range records {
			got = append(got, r.Event)
			page.After = r.ID
		}
		if len(records) < page.Limit {
			break
		}
	}
	if len(got) != all || !slices.IsSortedFunc(got, func(a, b string) int { return strings.Compare(b, a) }) {
		t.Errorf("newest first, by pages of three: %v", got)
	}
	newest := recorded(t, s, audit.Filter{})[all-1]
	found, err := s.AuditRecord(t.Context(), newest.ID)
	if diff := cmp.Diff(newest, found); diff != "" || err != nil {
		t.Errorf("one record (-want +got), error %v:\n%s", err, diff)
	}
	_, err = s.AuditRecord(t.Context(), "unknown")
	expect(t, "an unknown record", err, record.ErrNotFound)
}

func testAuditHours(t *testing.T, s *store.Store) {
	for _, minutes := range []int{-90, 10, 20, 70} {
		addRecord(t, s, audit.Login, "usr_1", start.Add(time.Duration(minutes)*time.Minute))
	}
	must(t, s.Record(t.Context(), audit.Event{Name: audit.LoginFailed, At: start, Count: 40, Outcome: audit.Failure}))
	got, err := s.AuditHours(t.Context(), audit.Login, start)
	if diff := cmp.Diff(map[time.Time]int64{start: 2, start.Add(time.Hour): 1}, got); diff != "" || err != nil {
		t.Errorf("logins by hour (-want +got), error %v:\n%s", err, diff)
	}
	got, err = s.AuditHours(t.Context(), audit.LoginFailed, start)
	if diff := cmp.Diff(map[time.Time]int64{start: 40}, got); diff != "" || err != nil {
		t.Errorf("failures by hour (-want +got), error %v:\n%s", err, diff)
	}
}

// verified verifies the chain and returns what is in it.
func verified(t testing.TB, s *store.Store) audit.Verified {
	t.Helper()
	v, err := audit.Verify(t.Context(), s, "")
	must(t, err)
	return v
}

func testSealing(t *testing.T, s *store.Store) {
	const all, sealers = 200, 8
	var group sync.WaitGroup
	for i := range all {
		group.Go(func() { addRecord(t, s, "event", "usr_"+strconv.Itoa(i), start.Add(time.Duration(i)*time.Second)) })
	}
	sealed := make([]int, sealers)
	for i := range sealers {
		group.Go(func() {
			for range 20 {
				n, err := s.SealAudit(t.Context(), 7)
				must(t, err)
				sealed[i] += n
			}
		})
	}
	group.Wait()
	for {
		n, err := s.SealAudit(t.Context(), 50)
		must(t, err)
		if sealed[0] += n; n == 0 {
			break
		}
	}
	sum := 0
	for _, n := range sealed {
		sum += n
	}
	if v := verified(t, s); sum != all || v.Records != all || v.Waiting != 0 || v.Head.Number != all {
		t.Errorf("%d of %d were sealed, verified %+v", sum, all, v)
	}
	head, err := s.AuditHead(t.Context())
	must(t, err)
	v, err := audit.Verify(t.Context(), s, head.Hash)
	if err != nil || !v.HeadFound {
		t.Errorf("the head %+v: %+v, %v", head, v, err)
	}
}

// The id of a transaction that commits late sorts before what is sealed already.
func testLateRecord(t *testing.T, s *store.Store) {
	addRecord(t, s, "on_time", "usr_1", start.Add(time.Minute))
	_, err := s.SealAudit(t.Context(), 10)
	must(t, err)
	addRecord(t, s, "late", "usr_1", start)
	n, err := s.SealAudit(t.Context(), 10)
	must(t, err)
	if v := verified(t, s); n != 1 || v.Records != 2 || v.Waiting != 0 {
		t.Errorf("sealed %d, verified %+v", n, v)
	}
}

func testRetention(t *testing.T, s *store.Store) {
	ctx, day := t.Context(), 24*time.Hour
	for i := range 10 {
		addRecord(t, s, "event", "usr_1", start.Add(time.Duration(i)*day))
	}
	_, err := s.SealAudit(ctx, 100)
	must(t, err)
	before := verified(t, s)
	kept := recorded(t, s, audit.Filter{})[3]

	now := start.Add(60 * day)
	must(t, s.CutAudit(ctx, start.Add(4*day), now))
	must(t, s.CutAudit(ctx, start.Add(4*day), now)) // another server
	for range 2 {
		n, err := s.DropAudit(ctx, 2)
		must(t, err)
		if n != 2 {
			t.Errorf("dropped %d, want 2", n)
		}
	}
	n, err := s.DropAudit(ctx, 2)
	must(t, err)
	if v := verified(t, s); n != 0 || v.First != 5 || v.Records != 6 || v.Head != before.Head {
		t.Errorf("dropped %d more, verified %+v; want 6 from number 5, and head %+v", n, v, before.Head)
	}
	if v, err := audit.Verify(ctx, s, kept.Hash); err != nil || !v.HeadFound {
		t.Errorf("the last hash that was dropped: %+v, %v, want found", v, err)
	}
	must(t, s.CutAudit(ctx, now, start.Add(12*day))) // what is younger than audit.MinRetention stays
	if n, err := s.DropAudit(ctx, 100); n != 0 || err != nil {
		t.Errorf("dropped %d young records, error %v", n, err)
	}
	must(t, s.CutAudit(ctx, now.Add(-audit.MinRetention), now.Add(day)))
	_, err = s.DropAudit(ctx, 100)
	must(t, err)
	if v := verified(t, s); v.Records != 0 || v.Head != (audit.Link{Number: 10, Hash: before.Head.Hash}) {
		t.Errorf("verified %+v, want the last hash of an empty chain", v)
	}
	addRecord(t, s, "event", "usr_1", now)
	_, err = s.SealAudit(ctx, 100)
	must(t, err)
	if v := verified(t, s); v.Records != 1 || v.Head.Number != 11 {
		t.Errorf("verified %+v, want that the chain goes on", v)
	}
}
