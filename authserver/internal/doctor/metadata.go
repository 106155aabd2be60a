package doctor

import (
	"bytes"
	"context"
	"net/http"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/oauth"
)

// The addresses of the metadata below the issuer.
const (
	metadataPath  = "/.well-known/oauth-authorization-server"
	discoveryPath = "/.well-known/openid-configuration"
)

// noMetadata is the result of checks that need the metadata of the issuer.
var noMetadata = result{verdict: Skipped, text: "the issuer's metadata cannot be used"}

// checkMetadata reads the metadata of the issuer and compares its two addresses.
func (e *exam) checkMetadata(ctx context.Context) result {
	doc, err := e.web.send(ctx, get(e.cfg.Issuer+metadataPath))
	if err != nil {
		return failed("Start the authorization server, or correct HALLPASS_ISSUER.",
			"the authorization server cannot be reached at %s: %s", e.cfg.Issuer, why(err))
	}
	var m oauth.Metadata
	if err := doc.decode(&m); err != nil {
		return failed("Check that HALLPASS_ISSUER is the URL of the authorization server, and that a proxy in front "+
			"passes every path on to it.", "%v", err)
	}
	e.issuer = doc
	if m.Issuer != e.cfg.Issuer {
		return failed("Set HALLPASS_ISSUER to the same text in the authorization server, the API and here. Clients "+
			"refuse metadata of another issuer (RFC 8414 section 3.3).",
			"the issuer in the metadata at %s is %s", e.cfg.Issuer, m.Issuer)
	}
	e.metadata = &m
	other, err := e.web.send(ctx, get(e.cfg.Issuer+discoveryPath))
	switch {
	case err != nil:
		return failed("Check the proxy in front.", "%s cannot be reached: %s", discoveryPath, why(err))
	case !bytes.Equal(doc.body, other.body):
		return failed("Check that a proxy in front passes both paths on to the same servers.",
			"the documents at %s and %s differ", metadataPath, discoveryPath)
	}
	return ok("the issuer is %s, and both documents are equal", m.Issuer)
}

// checkReplicas compares the metadata of single servers with that of the issuer.
func (e *exam) checkReplicas(ctx context.Context) result {
	switch {
	case len(e.cfg.Replicas) == 0:
		return skipped("none is named: --replica http://10.0.0.1:9000 checks one")
	case e.metadata == nil:
		return noMetadata
	}
	var wrong []string
	for _, replica := range e.cfg.Replicas {
		r := get(strings.TrimSuffix(replica, "/") + metadataPath)
		r.host = hostOf(e.cfg.Issuer)
		doc, err := e.web.send(ctx, r)
		switch {
		case err != nil:
			wrong = append(wrong, replica+": "+why(err))
		case doc.status != http.StatusOK || !bytes.Equal(doc.body, e.issuer.body):
			wrong = append(wrong, replica+": its metadata differs from that of the issuer")
		}
	}
	if len(wrong) > 0 {
		return failed("Give all replicas the same version, the same settings, the same keys and the same database.",
			"%s", strings.Join(wrong, "; "))
	}
	return ok("%d replicas have the metadata of the issuer, byte for byte", len(e.cfg.Replicas))
}

// checkEndpoints sends a GET to each endpoint that the metadata names. Endpoints for POST refuse it, which is a
// response.
func (e *exam) checkEndpoints(ctx context.Context) result {
	if e.metadata == nil {
		return noMetadata
	}
	m, n := e.metadata, 0
	for _, endpoint := range []struct{ name, url string }{
		{"authorization_endpoint", m.AuthorizationEndpoint},
		{"token_endpoint", m.TokenEndpoint},
		{"revocation_endpoint", m.RevocationEndpoint},
		{"introspection_endpoint", m.IntrospectionEndpoint},
		{"device_authorization_endpoint", m.DeviceAuthorizationEndpoint},
		{"userinfo_endpoint", m.UserInfoEndpoint},
		{"jwks_uri", m.JWKSURI},
		{"status_list_aggregation_endpoint", m.StatusListAggregationEndpoint},
	} {
		if endpoint.url == "" {
			continue
		}
		resp, err := e.web.send(ctx, get(endpoint.url))
		switch {
		case err != nil:
			return failed("Check that clients can reach this address.", "%s, %s: %s", endpoint.name, endpoint.url, why(err))
		case resp.status == http.StatusNotFound || resp.status >= http.StatusInternalServerError:
			return failed("Check that a proxy in front passes this path on to the authorization server.",
				"%s, %s, responds with status %d", endpoint.name, endpoint.url, resp.status)
		}
		n++
	}
	return ok("all %d respond", n)
}

// openID reports whether OpenID Connect is on.
func (e *exam) openID() bool {
	return e.metadata != nil && e.metadata.OpenIDMetadata != nil && len(e.metadata.IDTokenSigningAlgorithms) > 0
}
