package web

import (
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/adminapi"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// administers reports whether tokens with a scope are for the admin API. Tokens for other APIs never have it.
func administers(scope oauth.Scope) bool { return scope.Has(resource.AdminScope) }

// raiseForAdmin raises what a request for a token of the admin API needs: a second factor, and a login that is no older
// than the API accepts.
func (e *endpoints) raiseForAdmin(a *authorization) {
	if !administers(a.scope) {
		return
	}
	a.needsSecondFactor = a.needsSecondFactor || !e.cfg.AdminWithoutSecondFactor
	if a.maxAge < 0 || a.maxAge > adminapi.MaxLoginAge {
		a.maxAge = adminapi.MaxLoginAge
	}
}

// asksEachTime reports whether the user is asked for consent each time, which is not remembered.
func (a *authorization) asksEachTime() bool {
	return a.client.AsksEachTime(a.redirectURI) || administers(a.scope)
}

// needsLoginFor reports whether a user must log in again to approve a device.
func (e *endpoints) needsLoginFor(s session, d issuing.Device) bool {
	tooOld := administers(d.Scope) && e.cfg.Now().Sub(s.login.At) > adminapi.MaxLoginAge
	return tooOld || e.lacksFactor(s, e.deviceNeedsFactor(d))
}

// deviceNeedsFactor reports whether a device wants what needs a second factor.
func (e *endpoints) deviceNeedsFactor(d issuing.Device) bool {
	return d.Client.RequireSecondFactor || administers(d.Scope) && !e.cfg.AdminWithoutSecondFactor
}

// adminMetadataPath is the path of the metadata of the admin API.
const adminMetadataPath = adminapi.MetadataPath
