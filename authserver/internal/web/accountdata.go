package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// maxCopied bounds the grants, the sessions and the records in a copy of a user's data, each. The latest ones are
// copied.
const maxCopied = 10_000

// userData is what is stored about a user, but secrets, their digests, and what is kept for minutes only.
type userData struct {
	// Truncated is whether there are more grants, sessions or records than maxCopied.
	Truncated bool `json:"truncated,omitempty"`

	User     userRecord      `json:"user"`
	Browsers []browserRecord `json:"browsers"`
	Grants   []grantRecord   `json:"grants"`
	Consents []consentRecord `json:"consents"`
	// FailedLogins counts recent failures of logins to the account.
	FailedLogins int64 `json:"failed_logins"`
	// KnownAddresses counts addresses of earlier logins, of which only digests are stored.
	KnownAddresses int64              `json:"known_addresses"`
	Links          []linkRecord       `json:"links"`
	Mails          []mailRecord       `json:"mails"`
	Revocations    []revocationRecord `json:"consent_revocations"`
	SecondFactors  []factorRecord     `json:"second_factors"`
	// RecoveryCodes counts the recovery codes that are left, of which only digests are stored.
	RecoveryCodes int `json:"recovery_codes"`
	// Records are those of the audit log, newest first.
	Records []eventRecord `json:"audit_records"`
}

// eventRecord is a record of the audit log without what it has of other people. By is "somebody else" unless the user
// did it, or somebody who tried to log in as the user. Subject is the kind of what it was done to, unless that is the
// user.
type eventRecord struct {
	At       time.Time         `json:"at"`
	Event    string            `json:"event"`
	Outcome  string            `json:"outcome"`
	Count    int64             `json:"count"`
	By       string            `json:"by,omitempty"`
	Subject  string            `json:"subject,omitempty"`
	ClientID string            `json:"client_id,omitempty"`
	Address  string            `json:"address,omitempty"`
	Details  map[string]string `json:"details,omitempty"`
}

func newEventRecord(r audit.Record, userID string) eventRecord {
	e := eventRecord{At: r.At, Event: r.Event, Outcome: string(r.Outcome), Count: r.Count, Details: r.Details}
	if r.Actor.ActsOn(userID) {
		e.By = "somebody else"
	} else {
		e.ClientID, e.Address = r.Actor.ClientID, r.Actor.Address
	}
	if r.Subject.ID != userID {
		e.Subject = r.Subject.Kind
	}
	return e
}

type factorRecord struct {
	Kind       string     `json:"kind"`
	Name       string     `json:"name"`
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
}

type linkRecord struct {
	Kind      string    `json:"kind"`
	Email     string    `json:"email"`
	NewEmail  string    `json:"new_email,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

type mailRecord struct {
	Kind      string    `json:"kind"`
	CreatedAt time.Time `json:"created_at"`
}

type revocationRecord struct {
	ClientID string `json:"client_id"`
	Times    int64  `json:"times"`
}

type userRecord struct {
	ID              string     `json:"id"`
	Username        string     `json:"username"`
	Name            string     `json:"name"`
	Email           string     `json:"email,omitempty"`
	EmailVerified   bool       `json:"email_verified"`
	Groups          []string   `json:"groups"`
	PasswordChanges int64      `json:"password_changes"`
	CreatedAt       time.Time  `json:"created_at"`
	Language        string     `json:"language,omitempty"`
	UpdatedAt       *time.Time `json:"updated_at,omitempty"`
	LastLoginAt     *time.Time `json:"last_login_at,omitempty"`
}

type placeRecord struct {
	Address string `json:"address,omitempty"`
	Agent   string `json:"agent,omitempty"`
}

type browserRecord struct {
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
	Methods   []string  `json:"methods"`
	placeRecord
}

type grantRecord struct {
	Number    int64      `json:"number"`
	Type      string     `json:"type"`
	ClientID  string     `json:"client_id,omitempty"`
	API       string     `json:"api"`
	Scope     string     `json:"scope"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt time.Time  `json:"expires_at"`
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
	placeRecord
}

type consentRecord struct {
	ClientID  string    `json:"client_id"`
	API       string    `json:"api"`
	Scope     string    `json:"scope"`
	UpdatedAt time.Time `json:"updated_at"`
}

// optional returns a time as JSON has it: nil for the zero time, which stands for never.
func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// showData serves GET /account/data, the page from which the user downloads a copy.
func (e *endpoints) showData(w http.ResponseWriter, r *http.Request, s session) error {
	if e.needsConfirmation(s) {
		e.showAccountLogin(w, r, http.StatusOK, page{
			Username: s.user.Username, Continue: accountDataPath, Confirms: true,
		})
		return nil
	}
	e.render(w, r, http.StatusOK, "accountdata", page{Title: say("A copy of your data"), UserID: s.user.ID})
	return nil
}

// copyData serves POST /account/data.
func (e *endpoints) copyData(w http.ResponseWriter, r *http.Request, _ url.Values, s session) error {
	if e.needsConfirmation(s) {
		redirect(w, accountDataPath)
		return nil
	}
	data, err := e.dataOf(r.Context(), s.user)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(data, "", "  ")
	if err != nil {
		return err
	}
	e.recordAccount(r, "account_data_copied", s)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Disposition", `attachment; filename="account.json"`)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(append(text, '\n')) // fails only if the browser has disconnected
	return nil
}

// dataOf returns what is stored about a user.
func (e *endpoints) dataOf(ctx context.Context, u account.User) (userData, error) {
	data := userData{
		User: userRecord{
			ID: u.ID, Username: u.Username, Name: u.Name, Email: u.Email, EmailVerified: u.EmailVerified,
			Groups: append([]string{}, u.Groups...), PasswordChanges: u.PasswordVersion, CreatedAt: u.CreatedAt,
			Language: u.Language, UpdatedAt: optional(u.UpdatedAt), LastLoginAt: optional(u.LastLoginAt),
		},
		Browsers: []browserRecord{}, Grants: []grantRecord{}, Consents: []consentRecord{},
		Links: []linkRecord{}, Mails: []mailRecord{}, Revocations: []revocationRecord{},
		SecondFactors: []factorRecord{}, Records: []eventRecord{},
	}
	sessions, err := e.cfg.Store.BrowserSessions(ctx, u.ID, time.Unix(0, 0), maxCopied+1) // expired ones too
	if err != nil {
		return userData{}, err
	}
	for _, b := range atMost(maxCopied, sessions, &data.Truncated) {
		data.Browsers = append(data.Browsers, browserRecord{
			CreatedAt: b.CreatedAt, ExpiresAt: b.ExpiresAt, Methods: b.Methods, placeRecord: placeRecord(b.Place),
		})
	}
	grants, err := e.cfg.Store.GrantsOf(ctx, u.ID, maxCopied+1)
	if err != nil {
		return userData{}, err
	}
	for _, g := range atMost(maxCopied, grants, &data.Truncated) {
		data.Grants = append(data.Grants, newGrantRecord(g))
	}
	consents, err := e.cfg.Store.Consents(ctx, u.ID)
	if err != nil {
		return userData{}, err
	}
	for _, c := range consents {
		data.Consents = append(data.Consents, consentRecord{
			ClientID: c.ClientID, API: c.Audience, Scope: c.Scope.String(), UpdatedAt: c.UpdatedAt,
		})
	}
	rest, err := e.cfg.Store.RemainderOf(ctx, u.ID)
	if err != nil {
		return userData{}, err
	}
	data.add(rest)
	return data, errors.Join(e.addFactorData(ctx, &data), e.addRecords(ctx, &data))
}

// addRecords adds the records of the audit log about the user. They stay when the account is deleted.
func (e *endpoints) addRecords(ctx context.Context, data *userData) error {
	about := audit.Filter{About: []string{data.User.ID}}
	records, err := e.cfg.Store.AuditRecords(ctx, about, audit.Page{Limit: maxCopied + 1})
	for _, r := range atMost(maxCopied, records, &data.Truncated) {
		data.Records = append(data.Records, newEventRecord(r, data.User.ID))
	}
	return err
}

// addFactorData adds the second factors, without their secrets.
func (e *endpoints) addFactorData(ctx context.Context, data *userData) error {
	factors, err := e.cfg.Store.SecondFactors(ctx, data.User.ID)
	if err != nil {
		return err
	}
	for _, f := range factors {
		data.SecondFactors = append(data.SecondFactors, factorRecord{
			Kind: string(f.Kind), Name: f.Name, CreatedAt: f.CreatedAt, LastUsedAt: optional(f.LastUsedAt),
		})
	}
	data.RecoveryCodes, err = e.cfg.Store.CountRecoveryCodes(ctx, data.User.ID)
	return err
}

// atMost returns the first items of a list. It sets truncated if there are more.
func atMost[T any](limit int, list []T, truncated *bool) []T {
	if len(list) <= limit {
		return list
	}
	*truncated = true
	return list[:limit]
}

// add adds what is stored besides the user, sessions, grants and consents.
func (d *userData) add(rest store.Remainder) {
	d.FailedLogins, d.KnownAddresses = rest.FailedLogins, rest.KnownAddresses
	for _, l := range rest.Links {
		d.Links = append(d.Links, linkRecord(l))
	}
	for _, m := range rest.Mails {
		d.Mails = append(d.Mails, mailRecord(m))
	}
	for _, r := range rest.Revocations {
		d.Revocations = append(d.Revocations, revocationRecord(r))
	}
}

func newGrantRecord(g store.AppLogin) grantRecord {
	return grantRecord{
		Number: g.Number, Type: string(g.Type), ClientID: g.ClientID, API: g.Audience, Scope: g.Scope.String(),
		CreatedAt: g.CreatedAt, ExpiresAt: g.ExpiresAt, RevokedAt: optional(g.RevokedAt),
		placeRecord: placeRecord(g.Place),
	}
}
