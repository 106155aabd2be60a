package oauth

import (
	"errors"
	"fmt"
	"net/url"
)

// ValidateIssuer checks an authorization server's identifier: an absolute http or
// https URL without user, query or fragment (RFC 8414 §2). It is compared as a
// text, so it must be written exactly alike everywhere; a slash at its end is
// refused, because it is what most often differs.
func ValidateIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return fmt.Errorf("%q is not a URL like https://login.example.com", issuer)
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("it must have no user, query or fragment (RFC 8414 section 2)")
	case u.String()[len(u.String())-1] == '/':
		return fmt.Errorf("%q must not end in a slash", issuer)
	}
	return nil
}
