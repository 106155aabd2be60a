package clientmeta

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/outbound"
)

// maxDocumentID bounds a client_id that is a URL, in bytes.
const maxDocumentID = 512

// Policy says which client metadata documents are accepted. The zero value accepts none.
type Policy struct {
	all     bool
	domains []string
}

// ParsePolicy parses the setting: off, all, or domains. *.example.com stands for the subdomains of
// example.com.
func ParsePolicy(domains []string) (Policy, error) {
	switch {
	case len(domains) == 0 || slices.Equal(domains, []string{"off"}):
		return Policy{}, nil
	case slices.Equal(domains, []string{"all"}):
		return Policy{all: true}, nil
	}
	for _, d := range domains {
		name := strings.TrimPrefix(d, "*.")
		if name == "off" || name == "all" || name != strings.ToLower(name) ||
			outbound.CheckName(name) != nil {
			return Policy{}, fmt.Errorf(
				"must be off, all, or domains in lower case such as app.example or *.app.example, not %q", d)
		}
	}
	return Policy{domains: domains}, nil
}

// On reports whether any document is accepted.
func (p Policy) On() bool { return p.all || len(p.domains) > 0 }

// allows reports whether documents of a host are accepted.
func (p Policy) allows(host string) bool {
	host = strings.ToLower(host)
	return p.all || slices.ContainsFunc(p.domains, func(d string) bool {
		if rest, ok := strings.CutPrefix(d, "*"); ok {
			return strings.HasSuffix(host, rest)
		}
		return host == d
	})
}

// Documents finds clients by their metadata documents. It is safe for concurrent use. Nil accepts none.
type Documents struct {
	policy Policy
	guard  *outbound.Guard
	log    *slog.Logger

	mu   sync.Mutex
	told map[string]time.Time // when the document was fetched whose refused URIs were logged
}

// NewDocuments returns what finds clients by their documents.
func NewDocuments(policy Policy, guard *outbound.Guard, log *slog.Logger) *Documents {
	return &Documents{policy: policy, guard: guard, log: log, told: map[string]time.Time{}}
}

// On reports whether any document is accepted.
func (d *Documents) On() bool { return d != nil && d.policy.On() }

// Check returns an error that says why a document cannot be fetched from this client_id, for an
// administrator. It makes no request.
func (d *Documents) Check(id string) error {
	if !d.On() {
		return fmt.Errorf("client ID metadata documents are off: --client-documents (HALLPASS_CLIENT_DOCUMENTS)")
	}
	if len(id) > maxDocumentID {
		return fmt.Errorf("the client_id is longer than %d bytes", maxDocumentID)
	}
	if err := d.guard.Check(id); err != nil {
		return err
	}
	u, err := url.Parse(id)
	switch {
	case err != nil || u.Path == "" || u.String() != id:
		return fmt.Errorf("the client_id must be a normalized URL with a path")
	case slices.ContainsFunc(strings.Split(u.Path, "/"), func(s string) bool { return s == "." || s == ".." }):
		return fmt.Errorf("the path of the client_id must have no segment that is . or .. alone")
	case !d.policy.allows(u.Hostname()):
		return fmt.Errorf("--client-documents (HALLPASS_CLIENT_DOCUMENTS) does not name %s", u.Hostname())
	}
	return nil
}

// Client returns the client whose metadata are at the URL id. It may have the allowed scope. The error says
// what is wrong with the document, for the client's developers.
func (d *Documents) Client(ctx context.Context, id string, allowed oauth.Scope) (client.Client, error) {
	m, fetchedAt, err := d.metadata(ctx, outbound.ClientMetadata, id)
	if err != nil {
		return client.Client{}, err
	}
	host := client.Client{ID: id, Source: client.SourceDocument}.DocumentHost()
	c, refused, err := m.Client(host, allowed)
	d.tell(ctx, id, fetchedAt, refused)
	if err != nil {
		return client.Client{}, err
	}
	c.ID, c.Source = id, client.SourceDocument
	c.CreatedAt, c.LastUsedAt = fetchedAt, fetchedAt
	if err := m.setDocumentKeys(&c); err != nil {
		return client.Client{}, err
	}
	if err := c.ValidateUnregistered(); err != nil {
		return client.Client{}, errMetadata.Describe(err.Error())
	}
	return c, nil
}

// Has reports whether Client needs no request.
func (d *Documents) Has(id string) bool { return d.guard.Has(outbound.ClientMetadata, id) }

// Assertion returns how the client whose metadata are at the URL id authenticates by assertions, as the document says
// now. It is the zero value if the client does not. The error wraps outbound.ErrUnavailable if the document may be
// fetched later. It is for clients that a user has allowed something.
func (d *Documents) Assertion(ctx context.Context, id string) (client.Assertion, error) {
	m, _, err := d.metadata(ctx, outbound.KeptClientMetadata, id)
	if err != nil {
		return client.Assertion{}, err
	}
	var c client.Client
	err = m.setDocumentKeys(&c)
	return c.Assertion, err
}

// metadata returns what the document at the URL id says, and when it was fetched.
func (d *Documents) metadata(
	ctx context.Context,
	kind *outbound.Kind,
	id string,
) (m Metadata, fetchedAt time.Time, err error) {
	if err := d.Check(id); err != nil {
		return Metadata{}, time.Time{}, err
	}
	document, err := d.guard.Get(ctx, kind, id)
	if err != nil {
		return Metadata{}, time.Time{}, fmt.Errorf("the document could not be fetched: %w", err)
	}
	m, err = Parse(document.Body)
	if err == nil && m.ClientID != id {
		err = errMetadata.Describe("client_id in the document must be exactly its URL")
	}
	return m, document.FetchedAt, err
}

// maxTold bounds the memory for what was logged.
const maxTold = 1000

// tell logs the redirect URIs of a document that are not accepted, once for each time it is fetched.
func (d *Documents) tell(ctx context.Context, id string, fetched time.Time, refused []Refused) {
	d.mu.Lock()
	told := d.told[id].Equal(fetched)
	if len(d.told) >= maxTold {
		clear(d.told)
	}
	d.told[id] = fetched
	d.mu.Unlock()
	if told {
		return
	}
	for _, r := range refused {
		d.log.WarnContext(ctx, "a redirect URI of a client metadata document is not accepted",
			"event", "redirect_uri_refused", "client", id, "reason", r.Err)
	}
}
