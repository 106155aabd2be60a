package adminapi

import (
	"context"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// Failures is how often logins of a user have failed lately.
type Failures struct {
	Kind   string    `json:"kind" enum:"password,code,passkey,user_code" doc:"What failed"`
	Count  int64     `json:"count"`
	Since  time.Time `json:"since"`
	LastAt time.Time `json:"last_at"`
}

// ListFailures lists how often logins of a user have failed lately.
func (a *API) ListFailures(ctx context.Context, in *UserIn) (*ListOut[Failures], error) {
	found, err := a.cfg.Admin.Failures(ctx, in.Username)
	return listOut(found, err, func(f store.UserFailures) Failures { return Failures(f) })
}

// SecondFactor is a second factor of a user.
type SecondFactor struct {
	Kind       string     `json:"kind" enum:"totp,passkey"`
	Name       string     `json:"name" doc:"What the user calls it"`
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
}

// SecondFactorsOut is the response with the second factors of a user.
type SecondFactorsOut struct {
	Body struct {
		Items         []SecondFactor `json:"items" nullable:"false"`
		RecoveryCodes int            `json:"recovery_codes" doc:"How many recovery codes are left"`
	}
}

// ListSecondFactors lists the second factors of a user.
func (a *API) ListSecondFactors(ctx context.Context, in *UserIn) (*SecondFactorsOut, error) {
	factors, codes, err := a.cfg.Admin.SecondFactors(ctx, in.Username)
	shown, err := listOut(factors, err, func(f secondfactor.Factor) SecondFactor {
		return SecondFactor{string(f.Kind), f.Name, f.CreatedAt, optional(f.LastUsedAt)}
	})
	if err != nil {
		return nil, err
	}
	out := &SecondFactorsOut{}
	out.Body.Items, out.Body.RecoveryCodes = shown.Body.Items, codes
	return out, nil
}

// RemoveSecondFactors removes all second factors and recovery codes of a user, and ends all logins of the user.
func (a *API) RemoveSecondFactors(ctx context.Context, in *UserIn) (*None, error) {
	_, err := a.cfg.Admin.RemoveSecondFactors(ctx, in.Username)
	return nothing(err)
}

// Session is a browser that a user is logged in with.
type Session struct {
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"created_at" doc:"When the user logged in"`
	ExpiresAt time.Time `json:"expires_at"`
	Methods   []string  `json:"methods" nullable:"false" doc:"How the user logged in (amr, RFC 8176)"`
	Address   string    `json:"address,omitempty" doc:"IP address of the login"`
	Agent     string    `json:"agent,omitempty" doc:"User-Agent of the login"`
}

// ListSessions lists the browsers that a user is logged in with, newest first.
func (a *API) ListSessions(ctx context.Context, in *UserIn) (*ListOut[Session], error) {
	found, err := a.cfg.Admin.Sessions(ctx, in.Username)
	return listOut(found, err, func(b store.BrowserSession) Session {
		return Session{
			ID: admin.SessionID(b), CreatedAt: b.CreatedAt, ExpiresAt: b.ExpiresAt,
			Methods: append([]string{}, b.Methods...), Address: b.Place.Address, Agent: b.Place.Agent,
		}
	})
}

// EndSessionIn names a browser session.
type EndSessionIn struct {
	UserIn
	ID string `path:"id" maxLength:"64"`
}

// EndSession ends a browser session of a user, and the logins at clients that were given in it.
func (a *API) EndSession(ctx context.Context, in *EndSessionIn) (*None, error) {
	return nothing(a.cfg.Admin.EndSession(ctx, in.Username, in.ID))
}

// Grant is a login of a user at a client.
type Grant struct {
	Number     int64     `json:"number"`
	Type       string    `json:"type" doc:"Grant type by which it was given"`
	ClientID   string    `json:"client_id"`
	ClientName string    `json:"client_name"`
	Audience   string    `json:"audience" doc:"The API that its tokens are for"`
	Scope      string    `json:"scope"`
	CreatedAt  time.Time `json:"created_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	Address    string    `json:"address,omitempty" doc:"IP address of the login"`
	Agent      string    `json:"agent,omitempty" doc:"User-Agent of the login"`
}

// ListGrants lists the logins of a user at clients, newest first.
func (a *API) ListGrants(ctx context.Context, in *UserIn) (*ListOut[Grant], error) {
	found, err := a.cfg.Admin.Grants(ctx, in.Username)
	return listOut(found, err, func(g store.AppLogin) Grant {
		return Grant{
			Number: g.Number, Type: string(g.Type), ClientID: g.ClientID, ClientName: g.ClientName, Audience: g.Audience,
			Scope: g.Scope.String(), CreatedAt: g.CreatedAt, ExpiresAt: g.ExpiresAt,
			Address: g.Place.Address, Agent: g.Place.Agent,
		}
	})
}

// EndGrantIn names a grant.
type EndGrantIn struct {
	UserIn
	Number int64 `path:"number" minimum:"1"`
}

// EndGrant ends a login of a user at a client.
func (a *API) EndGrant(ctx context.Context, in *EndGrantIn) (*None, error) {
	return nothing(a.cfg.Admin.EndGrant(ctx, in.Username, in.Number))
}

// Consent is what a user has allowed a client.
type Consent struct {
	ClientID  string    `json:"client_id"`
	Audience  string    `json:"audience"`
	Scope     string    `json:"scope"`
	UpdatedAt time.Time `json:"updated_at"`
}

// ListConsents lists what a user has allowed clients.
func (a *API) ListConsents(ctx context.Context, in *UserIn) (*ListOut[Consent], error) {
	found, err := a.cfg.Admin.Consents(ctx, in.Username)
	return listOut(found, err, func(c store.Consent) Consent {
		return Consent{c.ClientID, c.Audience, c.Scope.String(), c.UpdatedAt}
	})
}

// RevokeConsentIn names a consent.
type RevokeConsentIn struct {
	UserIn
	ClientID string `path:"client_id"`
}

// RevokeConsent deletes what a user has allowed a client, and ends the user's logins there.
func (a *API) RevokeConsent(ctx context.Context, in *RevokeConsentIn) (*None, error) {
	_, err := a.cfg.Admin.RevokeConsent(ctx, in.Username, in.ClientID)
	return nothing(err)
}
