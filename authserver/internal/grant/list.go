package grant

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/statuslist"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// ListSize is how many grants share one status list.
const ListSize = statuslist.MaxSize

// List names a status list. The bits of the same grants are published once for each API,
// under a URI of its own, because they are signed with the key of the API's tokens: that
// may be a secret that no other API has.
type List struct {
	// Number says which grants it is about: those from Number times ListSize on.
	Number int64
	// Audience is the API that it is for; empty for the one of the server's settings.
	Audience string
}

// URI returns where the list is: below the issuer, by its number and, where the API is a
// registered one, by the identifier of that in base64url, which has no letter that a URI
// could be read in two ways with.
func (l List) URI(issuer string) string {
	uri := issuer + statuslist.Path + "/" + strconv.FormatInt(l.Number, 10)
	if l.Audience != "" {
		uri += "/" + base64.RawURLEncoding.EncodeToString([]byte(l.Audience))
	}
	return uri
}

// ParseList is the inverse of List.URI. It is false for a URI that this does not make.
func ParseList(issuer, uri string) (l List, ok bool) {
	rest, ok := strings.CutPrefix(uri, issuer+statuslist.Path+"/")
	number, api, _ := strings.Cut(rest, "/")
	n, err := strconv.ParseInt(number, 10, 44)
	audience, err2 := base64.RawURLEncoding.DecodeString(api)
	if !ok || err != nil || err2 != nil || n < 0 {
		return List{}, false
	}
	l = List{Number: n, Audience: string(audience)}
	return l, l.URI(issuer) == uri
}

// List returns the list that the grant's bit is in.
func (g Grant) List() List { return List{Number: g.Number / ListSize, Audience: g.Audience} }

// Status returns the pointer that tokens of the grant carry for the API of its audience:
// where the bit is that revokes them.
func (g Grant) Status(issuer string) *token.Status {
	return &token.Status{Index: g.Number % ListSize, URI: g.List().URI(issuer)}
}

// NumberOf is the inverse of Status: the number of the grant whose tokens for the API of
// this audience carry this pointer. It is false for a pointer that Status does not make.
func NumberOf(issuer, audience string, s *token.Status) (number int64, ok bool) {
	if s == nil || s.Index < 0 || s.Index >= ListSize {
		return 0, false
	}
	l, ok := ParseList(issuer, s.URI)
	if !ok || l.Audience != audience {
		return 0, false
	}
	return l.Number*ListSize + s.Index, true
}
