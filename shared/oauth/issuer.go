package oauth

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// ValidateIssuer checks an authorization server's identifier: an absolute http or https URL without
// user, query or fragment (RFC 8414 section 2). Issuers are compared as strings, so a slash at the end is
// refused, and so is every spelling that changes if a program parses the URL and prints it again.
func ValidateIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return fmt.Errorf("%q is not a URL like https://login.example.com", issuer)
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(issuer, "#"):
		return errors.New("it must have no user, query or fragment (RFC 8414 section 2)")
	case strings.HasSuffix(u.Host, ":"):
		return fmt.Errorf("%q has a colon after the host but no port", issuer)
	case strings.HasSuffix(issuer, "/"):
		return fmt.Errorf("%q must not end in a slash", issuer)
	case u.String() != issuer:
		return fmt.Errorf("%q must be written as %q", issuer, u)
	}
	return nil
}
