package vectors_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/statuslist"
	"github.com/hallpass-auth/hallpass/shared/token"
)

var update = flag.Bool("update", false, "write vectors.json instead of comparing it")

// folder has the vectors, and the keys that sign them.
const folder = "../../kit/vectors"

const (
	issuer   = "https://login.example.com"
	audience = "https://api.example.com"
	billing  = "https://billing.example.com"

	// now is the clock of the verifier, in seconds since 1970.
	now = 1_790_000_000
)

// vectors is the file. Its README.md explains the members.
type vectors struct {
	Issuer   string             `json:"issuer"`
	Audience string             `json:"audience"`
	Metadata metadata           `json:"metadata"`
	Keys     map[string]source  `json:"keys"`
	Lists    map[string]*string `json:"lists"`
	Cases    []testCase         `json:"cases"`
	KeySets  []keySet           `json:"key_sets"`
	Bits     []bitString        `json:"bits"`
}

// metadata is what an API serves with the scopes (RFC 9728).
type metadata struct {
	Path   string   `json:"path"`
	Scopes []string `json:"scopes"`
	Body   string   `json:"body"`
}

// source is where an API has its keys from.
type source struct {
	Kind   string          `json:"kind"` // url, file or secret
	Set    json.RawMessage `json:"set,omitempty"`
	Secret string          `json:"secret,omitempty"`
}

// testCase is a request to an API, and the response.
type testCase struct {
	Name          string              `json:"name"`
	Now           int64               `json:"now"`
	Keys          string              `json:"keys"`
	List          string              `json:"list"`
	Scopes        []string            `json:"scopes"`
	ScopeIncludes map[string][]string `json:"scope_includes,omitempty"`
	User          bool                `json:"user,omitempty"`
	Login         *login              `json:"login,omitempty"`
	Query         string              `json:"query,omitempty"`
	Authorization []string            `json:"authorization"`
	Want          want                `json:"want"`
}

// login is what a route asks of the login of the user (RFC 9470). MaxAge is in seconds.
type login struct {
	ACRValues []string `json:"acr_values,omitempty"`
	MaxAge    int64    `json:"max_age,omitempty"`
}

// want is the response to a request.
type want struct {
	Status     int     `json:"status"`
	Claims     *claims `json:"claims,omitempty"`
	Reason     string  `json:"reason,omitempty"`
	Challenge  string  `json:"www_authenticate,omitempty"`
	RetryAfter string  `json:"retry_after,omitempty"`
	Body       string  `json:"body,omitempty"`
}

// claims are what a handler learns about the caller.
type claims struct {
	Issuer    string     `json:"iss"`
	Subject   string     `json:"sub"`
	Audience  []string   `json:"aud"`
	ClientID  string     `json:"client_id"`
	ID        string     `json:"jti"`
	IssuedAt  int64      `json:"iat"`
	ExpiresAt int64      `json:"exp"`
	Scope     []string   `json:"scope"`
	Username  string     `json:"preferred_username"`
	Name      string     `json:"name"`
	Groups    []string   `json:"groups"`
	Actors    []string   `json:"actors"`
	ACR       string     `json:"acr,omitempty"`
	Methods   []string   `json:"amr"`
	AuthTime  int64      `json:"auth_time,omitempty"`
	IsUser    bool       `json:"is_user"`
	Status    *reference `json:"status"`
}

type reference struct {
	Index int64  `json:"idx"`
	URI   string `json:"uri"`
}

func newClaims(c *token.Claims) *claims {
	view := &claims{
		Issuer: c.Issuer, Subject: c.Subject, Audience: c.Audience, ClientID: c.ClientID, ID: c.ID,
		IssuedAt: c.IssuedAt.Unix(), ExpiresAt: c.ExpiresAt.Unix(), Scope: nonNil(c.Scope),
		Username: c.Username, Name: c.Name, Groups: nonNil(c.Groups), Actors: nonNil(c.Actors), IsUser: c.IsUser(),
		ACR: c.ACR, Methods: nonNil(c.Methods),
	}
	if !c.AuthTime.IsZero() {
		view.AuthTime = c.AuthTime.Unix()
	}
	if c.Status != nil {
		view.Status = &reference{c.Status.Index, c.Status.URI}
	}
	return view
}

// nonNil returns an empty slice instead of nil, for JSON.
func nonNil(s []string) []string { return append([]string{}, s...) }

// keySet is a JWK Set, and whether an API may use it.
type keySet struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"` // url or file
	Set    string `json:"set"`
	Usable bool   `json:"usable"`
}

// bitString is an encoded status list. Set has the indices of the bits that are 1.
type bitString struct {
	Name  string  `json:"name"`
	Text  string  `json:"lst"`
	Valid bool    `json:"valid"`
	Size  int     `json:"size,omitempty"`
	Set   []int64 `json:"set,omitempty"`
}

// The file has the cases of this package, with the responses of shared/bearer.
func TestVectors(t *testing.T) {
	v := vectors{Issuer: issuer, Audience: audience, Keys: sources(t), Lists: lists(t), KeySets: keySets(t), Bits: bits(t)}
	v.Metadata = metadata{Scopes: []string{"profile", "items:read", "items:write"}}
	v.Cases = slices.Concat(validCases(t), requestCases(t), headerCases(t), claimCases(t), timeCases(t), loginCases(t),
		keyCases(t), listCases(t))
	v.Metadata = newAPI(t, &v, &v.Cases[0]).metadata
	t.Run("cases", func(t *testing.T) {
		names := map[string]bool{}
		for i := range v.Cases {
			c := &v.Cases[i]
			if names[c.Name] {
				t.Errorf("two cases are named %s", c.Name)
			}
			names[c.Name] = true
			t.Run(c.Name, func(t *testing.T) {
				t.Parallel()
				c.Want = newAPI(t, &v, c).call(t)
			})
		}
	})
	if !t.Failed() {
		compare(t, &v)
	}
}

// compare compares the file with v, or writes it.
func compare(t *testing.T, v *vectors) {
	t.Helper()
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(v); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "vectors.json")
	if *update {
		if err := os.WriteFile(file, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(text.String(), string(got)); diff != "" {
		t.Errorf("vectors.json differs from the cases; if that is intended, run this test with -update "+
			"(-cases +file):\n%s", diff)
	}
}

// Every key set is usable or not, as it says.
func TestKeySets(t *testing.T) {
	for _, set := range keySets(t) {
		t.Run(set.Kind+" "+set.Name, func(t *testing.T) {
			t.Parallel()
			if err := useSet(t, set); (err == nil) != set.Usable {
				t.Errorf("usable should be %v: %v", set.Usable, err)
			}
		})
	}
}

// Every encoded status list has the bits that are listed, or is refused.
func TestBits(t *testing.T) {
	for _, b := range bits(t) {
		list, err := statuslist.Decode(b.Text)
		if (err == nil) != b.Valid {
			t.Errorf("%s: valid should be %v: %v", b.Name, b.Valid, err)
		}
		if err != nil {
			continue
		}
		var set []int64
		for i := range int64(list.Size()) {
			if revoked, _ := list.Revoked(i); revoked {
				set = append(set, i)
			}
		}
		if diff := cmp.Diff(b.Set, set); diff != "" || list.Size() != b.Size {
			t.Errorf("%s: size %d, want %d; bits (-want +got):\n%s", b.Name, list.Size(), b.Size, diff)
		}
	}
}
