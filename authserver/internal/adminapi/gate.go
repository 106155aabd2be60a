package adminapi

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/dpop"
	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/problem"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// adminScope is the scope that tokens of the API must have.
const adminScope = resource.AdminScope

// MaxLoginAge is how long ago an administrator may have logged in, with a second factor.
const MaxLoginAge = 15 * time.Minute

// Details of refusals.
const (
	detailNobody = "Only users in the group admins, and services that were allowed to, administer this server"
	detailLogin  = "The administrator must log in again, with a second factor"
	detailError  = "The access token cannot be checked right now"
)

// gate lets administrators through. It checks each request in the database, so that ending a login, or removing
// somebody from the group, takes effect at once.
type gate struct {
	cfg   Config
	guard *bearer.Guard
}

// networks returns a handler that responds with 404 to addresses outside of the configured networks.
func (g *gate) networks(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !Within(g.cfg.Networks, r.RemoteAddr) {
			problem.Write(w, http.StatusNotFound, http.StatusText(http.StatusNotFound))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Within reports whether the address of a request, with a port, is in one of the networks. Without networks, all are.
func Within(networks []netip.Prefix, address string) bool {
	if len(networks) == 0 {
		return true
	}
	ip, err := netip.ParseAddr(httpserver.Host(address))
	if err != nil {
		return false
	}
	ip = ip.Unmap().WithZone("")
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(ip) })
}

// middleware returns a handler that refuses requests unless they come from an administrator.
func (g *gate) middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if dpop.Sent(r) {
			w.Header().Set(dpop.NonceHeader, g.cfg.Proofs.Nonce())
		}
		actor, refusal := g.admit(r)
		if refusal != nil {
			refusal.Write(w)
			return
		}
		next.ServeHTTP(w, r.WithContext(audit.WithActor(r.Context(), actor)))
	})
}

// admit returns the actor of a request, or the refusal to respond with.
func (g *gate) admit(r *http.Request) (audit.Actor, *bearer.Refusal) {
	claims, refusal := g.guard.Authenticate(r, adminScope)
	if refusal != nil {
		return audit.Actor{}, refusal
	}
	found, err := g.cfg.Tokens.InspectClaims(r.Context(), claims)
	switch {
	case errors.Is(err, issuing.ErrNotActiveAdministrator):
		return audit.Actor{}, g.refusal(http.StatusForbidden, oauth.CodeInsufficientScope, detailNobody)
	case errors.Is(err, issuing.ErrNotActive):
		refusal := g.guard.InvalidToken()
		refusal.Scope = oauth.Scope{adminScope}
		return audit.Actor{}, refusal
	case err != nil:
		g.cfg.Log.ErrorContext(r.Context(), "cannot check an access token of the admin API", "error", err)
		return audit.Actor{}, &bearer.Refusal{Status: http.StatusServiceUnavailable, Detail: detailError}
	}
	actor := audit.Actor{
		Kind: audit.Client, ID: found.Grant.ClientID, ClientID: found.Grant.ClientID,
		Address: httpserver.Host(r.RemoteAddr), RequestID: httpserver.RequestID(r.Context()),
	}
	if found.Grant.UserID == "" {
		return actor, nil
	}
	if refusal := g.oldLogin(found.Grant.Authentication); refusal != nil {
		return audit.Actor{}, refusal
	}
	actor.Kind, actor.ID, actor.Name = audit.User, found.Grant.UserID, found.Owner.Username
	return actor, nil
}

// Fresh reports whether a login is good enough for an administrator at a time: recent, and with a second factor unless
// withoutSecondFactor is set. The console has the same rule.
func Fresh(login grant.Authentication, withoutSecondFactor bool, now time.Time) bool {
	age := now.Sub(login.At)
	return (login.TwoFactors() || withoutSecondFactor) && age <= MaxLoginAge && age >= -token.DefaultLeeway
}

// oldLogin returns the refusal of a login that is too old, or has one factor (RFC 9470 section 3).
func (g *gate) oldLogin(login grant.Authentication) *bearer.Refusal {
	if Fresh(login, g.cfg.WithoutSecondFactor, g.cfg.Now()) {
		return nil
	}
	refusal := g.refusal(http.StatusUnauthorized, oauth.CodeInsufficientLogin, detailLogin)
	refusal.MaxAge = MaxLoginAge
	if !g.cfg.WithoutSecondFactor {
		refusal.ACRValues = []string{grant.ACRTwoFactors}
	}
	return refusal
}

// refusal returns a refusal with the challenge of the API.
func (g *gate) refusal(status int, code oauth.ErrorCode, detail string) *bearer.Refusal {
	refusal := g.guard.InvalidToken()
	refusal.Status, refusal.Code, refusal.Detail, refusal.Scope = status, code, detail, oauth.Scope{adminScope}
	return refusal
}
