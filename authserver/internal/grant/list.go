package grant

import (
	"crypto/rand"
	"encoding/base64"
	"regexp"
	"strconv"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/statuslist"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// ListSize is the number of grants that share one status list.
const ListSize = statuslist.MaxSize

// List identifies a status list. The bits of the same grants are published once for each
// API, under a URI of its own, because a list is signed with the key of the API's tokens:
// that may be a secret that no other API has.
type List struct {
	// Epoch is the epoch of the grants; empty for the first.
	Epoch string
	// Number says which grants the list is about: those from Number times ListSize on.
	Number int64
	// Audience is the API that the list is for.
	Audience string
	// URI is where the list is published.
	URI string
}

// Lists knows where status lists are published.
type Lists struct {
	// Issuer is the authorization server's identifier, with which all URIs begin.
	Issuer string
	// Default is the audience of the default API.
	Default string
	// Epoch is the current epoch; empty for the first. A restore of an older database begins the
	// next one, in which numbers of grants that the database has forgotten are used again. Lists of
	// each epoch have URIs of their own, so that a number never gets the bit of another grant.
	Epoch string
}

// epochName is what the name of an epoch looks like. It is no number, with which the URIs of the
// first epoch begin.
var epochName = regexp.MustCompile(`^e[A-Z2-7]{26}$`)

// NewEpoch returns a random name for an epoch.
func NewEpoch() string { return "e" + rand.Text() }

// List returns the list of this number in the current epoch for an API. Its URI ends in the list's number and
// the base64url of the audience. Only the lists of the default API end in the number: tokens
// and APIs use that URI since before other APIs could be registered. This is the one place
// that decides so.
func (l Lists) List(number int64, audience string) List {
	if audience == l.Default {
		return List{Epoch: l.Epoch, Number: number, Audience: audience, URI: l.shortURI(number)}
	}
	return l.longList(number, audience)
}

func (l Lists) longList(number int64, audience string) List {
	encoded := base64.RawURLEncoding.EncodeToString([]byte(audience))
	return List{Epoch: l.Epoch, Number: number, Audience: audience, URI: l.shortURI(number) + "/" + encoded}
}

func (l Lists) shortURI(number int64) string {
	path := l.Issuer + statuslist.Path + "/"
	if l.Epoch != "" {
		path += l.Epoch + "/"
	}
	return path + strconv.FormatInt(number, 10)
}

// Parse returns the list that is published at the URI, of any epoch, and whether there can be one. The
// lists of the default API are found at the long URI too: an API that has become the default
// one may have tokens from before.
func (l Lists) Parse(uri string) (List, bool) {
	rest, ok := strings.CutPrefix(uri, l.Issuer+statuslist.Path+"/")
	l.Epoch = ""
	if epoch, below, _ := strings.Cut(rest, "/"); epochName.MatchString(epoch) {
		l.Epoch, rest = epoch, below
	}
	first, encoded, long := strings.Cut(rest, "/")
	number, err := strconv.ParseInt(first, 10, 44)
	if !ok || err != nil || number < 0 {
		return List{}, false
	}
	found := l.List(number, l.Default)
	if long {
		audience, err := base64.RawURLEncoding.DecodeString(encoded)
		if err != nil || len(audience) == 0 {
			return List{}, false
		}
		found = l.longList(number, string(audience))
	}
	return found, found.URI == uri // there is one way to write it
}

// listOf returns the list that the bit of a grant of the current epoch is in.
func (l Lists) listOf(g Grant) List { return l.List(g.Number/ListSize, g.Audience) }

// Status returns the status claim of the tokens of a grant of the current epoch: where the bit is
// that revokes them.
func (l Lists) Status(g Grant) *token.Status {
	return &token.Status{Index: g.Number % ListSize, URI: l.listOf(g).URI}
}

// NumberOf is the inverse of Status: it returns the number of the grant whose tokens for the
// API carry the status claim, and whether there can be one. It is false for a token of another epoch,
// all of which are revoked.
func (l Lists) NumberOf(audience string, s *token.Status) (number int64, ok bool) {
	if s == nil || s.Index < 0 || s.Index >= ListSize {
		return 0, false
	}
	list, ok := l.Parse(s.URI)
	if !ok || list.Audience != audience || list.Epoch != l.Epoch {
		return 0, false
	}
	return list.Number*ListSize + s.Index, true
}
