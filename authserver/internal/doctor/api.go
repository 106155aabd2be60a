package doctor

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/dpop"
)

// apiMetadata is the part of a protected resource's metadata that clients use (RFC 9728 section 2).
type apiMetadata struct {
	Resource             string   `json:"resource"`
	AuthorizationServers []string `json:"authorization_servers"`
	ScopesSupported      []string `json:"scopes_supported"`
	DPoPRequired         bool     `json:"dpop_bound_access_tokens_required"` // RFC 9728 section 2
}

// metadataParameter finds the address of the metadata in a challenge (RFC 9728 section 5.1).
var metadataParameter = regexp.MustCompile(`resource_metadata="([^"]*)"`)

// checkChallenge calls the API without a token.
func (e *exam) checkChallenge(ctx context.Context) result {
	address := e.cfg.API + e.cfg.APIPath
	resp, err := e.web.send(ctx, get(address))
	if err != nil {
		return failed("Start the API, or name its URL with --api.",
			"the API cannot be reached at %s: %s", e.cfg.API, why(err))
	}
	challenge := resp.header.Get("WWW-Authenticate")
	switch {
	case resp.status == http.StatusNotFound:
		return failed("Name the path of an operation that a user may call with GET: --api-path /path.",
			"%s does not exist", address)
	case resp.status == http.StatusServiceUnavailable:
		return failed("Read the API's log: it says what it waits for.", "%s responds with status 503", address)
	case resp.status != http.StatusUnauthorized:
		return failed("Protect the operation with the bearer package, or name another one with --api-path.",
			"%s responds to a request without a token with status %d, not 401", address, resp.status)
	case !strings.HasPrefix(challenge, "Bearer") && !strings.HasPrefix(challenge, dpop.Scheme):
		return failed("Check that no proxy in front removes or replaces WWW-Authenticate.",
			"the 401 of %s has no Bearer or DPoP challenge", address)
	}
	e.guarded = resp
	if metadataParameter.FindStringSubmatch(challenge) == nil {
		return warning("Call guard.ServeMetadata in the API, so that clients find the authorization server by it.",
			"the 401 does not say where the API's metadata is (RFC 9728 section 5.1)")
	}
	return ok("401 with a challenge that names the API's metadata")
}

// checkResource follows the challenge to the API's metadata and from there to the issuer.
func (e *exam) checkResource(ctx context.Context) result {
	if e.guarded == nil {
		return skipped("the API gave no challenge")
	}
	address := bearer.MetadataURL(e.cfg.Audience)
	if named := metadataParameter.FindStringSubmatch(e.guarded.header.Get("WWW-Authenticate")); named != nil {
		address = named[1]
	}
	if address == "" {
		return skipped("the API's identifier %s is no URL, so it has no metadata", e.cfg.Audience)
	}
	doc, err := e.web.send(ctx, get(address))
	if err != nil {
		return failed("Check that clients can reach this address: it begins with the API's HALLPASS_AUDIENCE.",
			"the API's metadata cannot be reached at %s: %s", address, why(err))
	}
	var m apiMetadata
	if err := doc.decode(&m); err != nil {
		return failed("Serve the metadata with guard.ServeMetadata, at the path of the API's identifier.", "%v", err)
	}
	e.resource = &m
	return e.compareResource(m)
}

// compareResource compares the API's metadata with our settings.
func (e *exam) compareResource(m apiMetadata) result {
	switch {
	case m.Resource != e.cfg.Audience:
		return failed("Set HALLPASS_AUDIENCE to the same text in the API, the authorization server and here, or name "+
			"another API with --audience.", "the API calls itself %s, and not %s", m.Resource, e.cfg.Audience)
	case !slices.Contains(m.AuthorizationServers, e.cfg.Issuer):
		return failed("Set HALLPASS_ISSUER to the same text in the API and the authorization server.",
			"the API accepts tokens of %s, and not of %s", strings.Join(m.AuthorizationServers, ", "), e.cfg.Issuer)
	case originOf(m.Resource) != originOf(e.cfg.API):
		return ok("it names itself %s, and the issuer (it was reached at %s)", m.Resource, e.cfg.API)
	}
	return ok("it names itself %s, and the issuer %s", m.Resource, e.cfg.Issuer)
}
