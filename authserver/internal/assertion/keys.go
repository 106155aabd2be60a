package assertion

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/jwkset"
	"github.com/hallpass-auth/hallpass/authserver/internal/outbound"
)

// discoveryPath is where an issuer's metadata is (OpenID Connect Discovery section 4), below its
// identifier.
const discoveryPath = "/.well-known/openid-configuration"

// key returns the key that signed an assertion with this header. If it is not in the JWK Set at a
// URL, the set is fetched again, at most once a minute: the key may be new. The error wraps
// outbound.ErrUnavailable if the keys may be fetched later.
func (v *Verifier) key(ctx context.Context, c client.Client, header jose.Header) (any, error) {
	a, algorithm := c.Assertion, jose.SignatureAlgorithm(header.Algorithm)
	if a.JWKS != "" {
		return find([]byte(a.JWKS), header.KeyID, algorithm)
	}
	uri := a.JWKSURI
	if uri == "" {
		var err error
		if uri, err = v.discover(ctx, a.Issuer); err != nil {
			return nil, err
		}
	}
	kind := outbound.JWKSet
	if c.Source != client.SourceAdministrator {
		kind = outbound.StrangersJWKSet
	}
	document, err := v.cfg.Guard.Get(ctx, kind, uri)
	if err != nil {
		return nil, unfetched("the keys cannot be fetched", err)
	}
	key, err := find(document.Body, header.KeyID, algorithm)
	if err == nil {
		return key, nil
	}
	again, fetchErr := v.cfg.Guard.Refresh(ctx, kind, uri)
	if fetchErr != nil {
		return nil, unfetched(err.Error()+", and the keys cannot be fetched again", fetchErr)
	}
	return find(again.Body, header.KeyID, algorithm)
}

// unfetched returns the error for a document that was not fetched. It does not say that the assertion is
// not valid if a later request may get the document.
func unfetched(what string, err error) error {
	if errors.Is(err, outbound.ErrUnavailable) {
		return fmt.Errorf("%s: %w", what, err)
	}
	return invalid("%s: %v", what, err)
}

// find returns a key of a JWK Set.
func find(set []byte, kid string, algorithm jose.SignatureAlgorithm) (any, error) {
	keys, err := jwkset.Parse(set)
	if err != nil {
		return nil, invalid("%v", err)
	}
	key, err := keys.Find(kid, algorithm)
	if err != nil {
		return nil, invalid("%v", err)
	}
	return key, nil
}

// discover returns where the keys of an issuer are.
func (v *Verifier) discover(ctx context.Context, issuer string) (jwksURI string, err error) {
	document, err := v.cfg.Guard.Get(ctx, outbound.Discovery, strings.TrimSuffix(issuer, "/")+discoveryPath)
	if err != nil {
		return "", unfetched("the metadata of the issuer cannot be fetched", err)
	}
	var metadata struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(document.Body, &metadata); err != nil {
		return "", invalid("the metadata of the issuer is not JSON, or a member has the wrong type")
	}
	if metadata.Issuer != issuer { // OpenID Connect Discovery section 4.3
		return "", invalid("the metadata of the issuer names another issuer")
	}
	if metadata.JWKSURI == "" {
		return "", invalid("the metadata of the issuer has no jwks_uri")
	}
	return metadata.JWKSURI, nil
}
