// Package configfile reads and writes the files of configuration as code. They describe clients, APIs and scopes.
//
// A file is YAML. Its parser refuses unknown keys, anchors and aliases, so a small file cannot become a large value.
// Secrets are not in files: a file names the variable or the file that has them.
package configfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds of files.
const (
	// MaxBytes is the maximum size of a file.
	MaxBytes = 1 << 20
	// maxDocuments is how many documents a file may have.
	maxDocuments = 1000
)

// Config is the content of one or more files.
type Config struct {
	APIs    []API    `yaml:"apis,omitempty"`
	Scopes  []Scope  `yaml:"scopes,omitempty"`
	Clients []Client `yaml:"clients,omitempty"`
}

// API is an API that tokens can be for: see resource.API.
type API struct {
	placed `yaml:"-"`

	// Audience is its identifier; "default" stands for the default API.
	Audience string   `yaml:"audience"`
	Name     string   `yaml:"name,omitempty"` // by default the audience
	Scopes   []string `yaml:"scopes,omitempty"`
	AnyScope bool     `yaml:"any_scope,omitempty"`
}

// Scope is the description of a scope: see resource.ScopeDescription.
type Scope struct {
	placed `yaml:"-"`

	Scope       string `yaml:"scope"`
	Description string `yaml:"description"`
}

// Client is a client: see client.Client.
type Client struct {
	placed `yaml:"-"`

	ID     string `yaml:"id"`
	Name   string `yaml:"name,omitempty"` // by default the id
	Public bool   `yaml:"public,omitempty"`
	// Secret says where the secret is. A client that is not public has one, or Assertion, or both.
	Secret     *Secret    `yaml:"secret,omitempty"`
	Assertion  *Assertion `yaml:"assertion,omitempty"`
	GrantTypes []string   `yaml:"grant_types"`
	Scopes     []string   `yaml:"scopes"`

	RedirectURIs           []string `yaml:"redirect_uris,omitempty"`
	PostLogoutRedirectURIs []string `yaml:"post_logout_redirect_uris,omitempty"`
	BackchannelLogoutURI   string   `yaml:"backchannel_logout_uri,omitempty"`
	// IntrospectsFor and the others name APIs; "default" stands for the default one.
	IntrospectsFor []string `yaml:"introspects_for,omitempty"`
	ExchangeFrom   []string `yaml:"exchange_from,omitempty"`
	ExchangeTo     []string `yaml:"exchange_to,omitempty"`

	FirstParty          bool   `yaml:"first_party,omitempty"`
	WithoutPKCE         bool   `yaml:"without_pkce,omitempty"`
	RequirePAR          bool   `yaml:"require_par,omitempty"`
	RequireDPoP         bool   `yaml:"require_dpop,omitempty"`
	RequireSecondFactor bool   `yaml:"require_second_factor,omitempty"`
	Admin               bool   `yaml:"admin,omitempty"`        // may have tokens of the admin API
	IDTokenAlg          string `yaml:"id_token_alg,omitempty"` // by default RS256
}

// Secret says where a secret is. One field is set.
type Secret struct {
	// Env is the name of an environment variable.
	Env string `yaml:"env,omitempty"`
	// File is the path of a file, relative to the file that names it.
	File string `yaml:"file,omitempty"`
	// Keep says that the client keeps the secret that it has.
	Keep bool `yaml:"keep,omitempty"`
}

// Assertion says what the assertions must be by which a client authenticates: see client.Assertion.
type Assertion struct {
	// JWKS is a JWK Set as JSON.
	JWKS string `yaml:"jwks,omitempty"`
	// JWKSFile is the path of a file with one, relative to the file that names it.
	JWKSFile string `yaml:"jwks_file,omitempty"`
	JWKSURI  string `yaml:"jwks_uri,omitempty"`
	Issuer   string `yaml:"issuer,omitempty"`
	Subject  string `yaml:"subject,omitempty"`
	Audience string `yaml:"audience,omitempty"`
}

// Parse parses the documents of a file. The name is for errors, and for paths that the file names. It returns ErrBad
// for a file that is malformed, or describes something that is not valid, such as a client without a grant type. It
// does not read the variables and files that the file names.
func Parse(name string, data []byte) (Config, error) {
	var all Config
	if len(data) > MaxBytes {
		return all, position{file: name}.errorf("the file is larger than %d bytes", MaxBytes)
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	for range maxDocuments {
		var n yaml.Node
		err := d.Decode(&n)
		if errors.Is(err, io.EOF) {
			return all, all.check()
		}
		if err != nil {
			return Config{}, position{name, lineOf(err)}.errorf("the file is not YAML")
		}
		document, err := decodeDocument(name, &n)
		if err != nil {
			return Config{}, err
		}
		all = all.with(document)
	}
	return Config{}, position{file: name}.errorf("the file has more than %d documents", maxDocuments)
}

// decodeDocument decodes a document. One that has only comments is empty.
func decodeDocument(name string, n *yaml.Node) (c Config, err error) {
	if n.Kind != yaml.DocumentNode || len(n.Content) != 1 {
		return c, position{file: name}.errorf("the file is not a YAML document")
	}
	if root := n.Content[0]; root.Kind == yaml.ScalarNode && root.Tag == "!!null" && root.Value == "" {
		return c, nil
	}
	err = decoder{name}.decode(n.Content[0], "the document", reflect.ValueOf(&c).Elem())
	return c, err
}

// lineOf returns the line of an error of package yaml, or 0. The rest of its text may have a value of the file.
func lineOf(err error) (line int) {
	if _, after, found := strings.Cut(err.Error(), "line "); found {
		_, _ = fmt.Sscanf(after, "%d", &line)
	}
	return line
}

// with returns both configurations together.
func (c Config) with(other Config) Config {
	c.APIs = append(c.APIs, other.APIs...)
	c.Scopes = append(c.Scopes, other.Scopes...)
	c.Clients = append(c.Clients, other.Clients...)
	return c
}

// Format writes a configuration as a file. Parse reads it back.
func (c Config) Format() ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(c), e.Close()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
