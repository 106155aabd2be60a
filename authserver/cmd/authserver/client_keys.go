package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/jwkset"
	"github.com/hallpass-auth/hallpass/authserver/internal/keyfile"
)

// clientKeys are the flags for clients that authenticate by assertions.
type clientKeys struct {
	JWKSFile      string `name:"jwks-file" placeholder:"PATH" help:"File with the JWK Set of public keys whose assertions the client authenticates by (private_key_jwt); with --trust-issuer, the keys of the issuer."`
	JWKSURI       string `name:"jwks-uri" placeholder:"URL" help:"Where that JWK Set is, instead of a file. The server fetches it and keeps it as long as its HTTP headers say."`
	TrustIssuer   string `placeholder:"URL" help:"Issuer whose tokens the client authenticates by, such as that of a Kubernetes cluster or a CI system. Its keys are found by its metadata, unless --jwks-file or --jwks-uri is given."`
	TrustSubject  string `placeholder:"SUBJECT" help:"The sub of these tokens, exactly."`
	TrustAudience string `placeholder:"AUDIENCE" help:"The aud of these tokens. Defaults to this server's issuer URL."`
}

// given reports whether one of the flags is given.
func (k clientKeys) given() bool { return k != clientKeys{} }

// assertion returns what the assertions must be. It reads the file.
func (k clientKeys) assertion() (client.Assertion, error) {
	a := client.Assertion{
		JWKSURI: k.JWKSURI, Issuer: k.TrustIssuer, Subject: k.TrustSubject, Audience: k.TrustAudience,
	}
	if k.JWKSFile == "" {
		return a, nil
	}
	data, err := readJWKS(k.JWKSFile)
	if err != nil {
		return a, program.WithCode(program.ExitUsage, fmt.Errorf("--jwks-file: %w", err))
	}
	a.JWKS, err = client.CompactJWKS(data)
	return a, err
}

// readJWKS reads a file that is not larger than a JWK Set may be.
func readJWKS(path string) ([]byte, error) {
	if _, err := keyfile.Regular(path); err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, jwkset.MaxBytes+1)) // the check of the client says if it is too large
}

// shownAssertion is what the assertions of a client must be, as the commands print it.
type shownAssertion struct {
	Method   string          `json:"method"`
	JWKS     json.RawMessage `json:"jwks,omitempty"`
	JWKSURI  string          `json:"jwks_uri,omitempty"`
	Issuer   string          `json:"issuer,omitempty"`
	Subject  string          `json:"subject,omitempty"`
	Audience string          `json:"audience,omitempty"`
}

func showAssertion(a client.Assertion) *shownAssertion {
	if !a.Enabled() {
		return nil
	}
	return &shownAssertion{
		Method: a.Method(), JWKS: json.RawMessage(a.JWKS), JWKSURI: a.JWKSURI,
		Issuer: a.Issuer, Subject: a.Subject, Audience: a.Audience,
	}
}

// authentication returns how a client authenticates, for a table.
func (c shownClient) authentication() string {
	var ways []string
	switch {
	case c.OldSecretUntil != nil:
		ways = append(ways, "two secrets, the old one until "+formatTime(c.OldSecretUntil))
	case c.Secrets > 0:
		ways = append(ways, "secret")
	}
	if a := c.Assertion; a != nil {
		way := a.Method
		if a.Subject != "" {
			way += " for " + a.Subject
		}
		if a.JWKSURI != "" {
			way += ", keys at " + a.JWKSURI
		}
		ways = append(ways, way)
	}
	return strings.Join(ways, "; ")
}

// showSecrets returns how many secrets a client has, and when the old one of two ends.
func showSecrets(c client.Client, now time.Time) (n int, oldUntil *time.Time) {
	switch {
	case !c.HasSecret():
		return 0, nil
	case c.KeepsOldSecret(now):
		return 2, &c.OldSecret.Until
	}
	return 1, nil
}
