package account

import (
	"errors"
	"fmt"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// Bounds of an email address (RFC 5321 section 4.5.3.1.3) and of groups, which access tokens have to hold.
const (
	maxEmail  = 254
	maxGroup  = 64
	maxGroups = 50
)

// ErrBadIdentity is returned for an invalid email address or group. The text says why.
var ErrBadIdentity = errors.New("not usable")

// PrepareIdentity returns the user with the display name, the email address and the groups as they are stored.
// The error is ErrBadName or ErrBadIdentity if one of them is invalid.
func (u User) PrepareIdentity() (User, error) {
	if err := checkName("name", u.Name); err != nil {
		return User{}, err
	}
	var err error
	if u.Email != "" {
		if u.Email, err = prepareEmail(u.Email); err != nil {
			return User{}, err
		}
	}
	if u.EmailVerified && u.Email == "" {
		return User{}, fmt.Errorf("%w: there is no email address that could be verified", ErrBadIdentity)
	}
	u.Groups, err = PrepareGroups(u.Groups)
	return u, err
}

// prepareEmail returns an email address as it is stored: in NFC, without spaces around it. It must have one @
// with something before and after it, and is otherwise taken as it is. The error is ErrBadIdentity.
func prepareEmail(text string) (string, error) {
	email := norm.NFC.String(strings.TrimSpace(text))
	if err := record.CheckName("email address", email, maxEmail); err != nil {
		return "", fmt.Errorf("%w: %w", ErrBadIdentity, err)
	}
	local, domain, _ := strings.Cut(email, "@")
	if local == "" || domain == "" || strings.ContainsAny(domain, "@ ") || strings.ContainsAny(local, " ") {
		return "", fmt.Errorf("%w: %q is not an email address: it must be like ada@example.com", ErrBadIdentity, text)
	}
	return email, nil
}

// domainPattern matches the domain of an email address: labels of RFC 5321 section 4.1.2.
var domainPattern = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// PrepareOwnEmail returns an email address that a person has typed to prove that it is theirs, as it is stored: without
// spaces around it, and with the domain in lower case. It accepts ASCII only, so that no address looks like another
// one; an internationalized domain is typed in its ASCII form. The error is ErrBadIdentity.
func PrepareOwnEmail(text string) (string, error) {
	email, err := prepareEmail(text)
	if err != nil {
		return "", err
	}
	local, domain, _ := strings.Cut(email, "@")
	email = local + "@" + strings.ToLower(domain)
	parsed, err := mail.ParseAddress(email)
	isASCII := !strings.ContainsFunc(email, func(r rune) bool { return r > unicode.MaxASCII })
	if err != nil || parsed.Address != email || !isASCII || !IsDomain(strings.ToLower(domain)) {
		return "", fmt.Errorf("%w: %q is not an email address of ASCII characters", ErrBadIdentity, text)
	}
	return email, nil
}

// IsDomain reports whether a text can be the domain of an email address that PrepareOwnEmail returns.
func IsDomain(text string) bool { return len(text) <= maxEmail && domainPattern.MatchString(text) }

// FoldEmail returns an email address, or what a person has typed for one, in the form in which addresses are
// compared: in NFC, without spaces around it, with A to Z in lower case.
func FoldEmail(text string) string { return FoldASCII(norm.NFC.String(strings.TrimSpace(text))) }

// FoldASCII returns the text with A to Z in lower case, as the function lower of the database does.
func FoldASCII(text string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r - 'A' + 'a'
		}
		return r
	}, text)
}

// PrepareGroups returns the names of groups, sorted and without duplicates. A name has the characters of a
// scope (RFC 6749 section 3.3). The error is ErrBadIdentity.
func PrepareGroups(names []string) ([]string, error) {
	groups := slices.Compact(slices.Sorted(slices.Values(names)))
	if len(groups) > maxGroups {
		return nil, fmt.Errorf("%w: a user can be in %d groups, not %d", ErrBadIdentity, maxGroups, len(groups))
	}
	for _, name := range groups {
		scope, err := oauth.ParseScope(name)
		if err != nil || len(scope) != 1 || scope[0] != name || len(name) > maxGroup {
			return nil, fmt.Errorf("%w: the group %q must have 1 to %d printable ASCII characters, "+
				"no spaces, quotes or backslashes", ErrBadIdentity, name, maxGroup)
		}
	}
	if len(groups) == 0 {
		return nil, nil
	}
	return groups, nil
}
