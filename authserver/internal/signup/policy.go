package signup

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

// Mode says who may make an account.
type Mode string

// The modes.
const (
	Off        Mode = "off"
	Invitation Mode = "invitation" // people whom an administrator has invited
	Open       Mode = "open"       // everybody, or everybody with an email address of some domains
)

// Policy says who may make an account. The zero value means nobody.
type Policy struct {
	Mode Mode
	// Domains are those whose email addresses may sign up in the mode Open, in lower case; none means all.
	Domains []string
}

// NewPolicy returns a policy, or an error that says which domain cannot be used.
func NewPolicy(mode Mode, domains []string) (Policy, error) {
	p := Policy{Mode: mode}
	for _, text := range domains {
		domain := strings.ToLower(strings.TrimSpace(text))
		if !account.IsDomain(domain) {
			return Policy{}, fmt.Errorf("%q is not a domain: write it like example.com, in its ASCII form", text)
		}
		p.Domains = append(p.Domains, domain)
	}
	return p, nil
}

// allows reports whether the owner of an email address may make an account without an invitation.
func (p Policy) allows(email string) bool {
	_, domain, _ := strings.Cut(email, "@")
	return p.Mode == Open && (len(p.Domains) == 0 || slices.Contains(p.Domains, strings.ToLower(domain)))
}
