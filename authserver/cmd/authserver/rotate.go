package main

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/keyfile"
)

type keyRotateCommand struct {
	apiKeys     `embed:""`
	Path        string         `arg:"" help:"JWK Set of the authorization server."`
	Also        []string       `placeholder:"PATH" sep:"none" help:"JWK Set of an API, created by 'key export' or 'api add', to update with it. It gets no private key. Repeat for more."`
	API         string         `name:"api" placeholder:"AUDIENCE" help:"Rotate the secret of this API. By default, the key for all other APIs is rotated."`
	IDTokens    bool           `name:"id-tokens" help:"Rotate the key that signs ID tokens, which no API has: that of --algorithm, by default RS256. Adds one if the file has no such key."`
	Algorithm   string         `enum:",HS256,EdDSA,ES256,RS256" default:"" help:"Algorithm of the new key. Defaults to that of the current key."`
	SignsAfter  *time.Duration `help:"Time until the new key signs. Every server and API must have it by then. Defaults to 5m for HS256, whose keys are in files, and to 20m for other algorithms, because libraries cache published keys for up to 15 minutes."`
	Lifetime    time.Duration  `name:"access-token-lifetime" env:"HALLPASS_ACCESS_TOKEN_LIFETIME" default:"30m" help:"Lifetime of access tokens, as set for serve. The previous keys verify until their last token has expired (${default})."`
	Later       bool           `help:"Rotate without --also. Run 'key export' for the API's file before the new key signs."`
	Compromised bool           `help:"The previous keys have leaked: the new keys sign at once, and all issued access tokens become invalid. Without --api, all keys of the file are replaced, also those of single APIs. Keep an authorization server running meanwhile: it makes the secrets of second factors readable with the new keys."`
}

// Help explains who has to do something.
func (c *keyRotateCommand) Help() string {
	return `No server restarts. Servers read their files again within seconds, and --keys-url within a minute.
A file of an API gets the new key if it is named with --also. That of the default API is found by its name, see
--api-keys-file. The command says which APIs do not get the key.
A file without a key for ID tokens gets one, and the default API a file of its own, if it has none.

The new key signs after --signs-after, so that every API knows it by then:
5 minutes for HS256, in which the file must reach other machines;
20 minutes for EdDSA, ES256 and RS256, because an API may use a library that fetches the published keys
again only after 15 minutes.`
}

// Validate checks the flags. kong calls it before Run.
func (c *keyRotateCommand) Validate() error {
	if c.SignsAfter != nil && *c.SignsAfter < 0 || c.Lifetime < 0 {
		return errors.New("--signs-after and --access-token-lifetime (HALLPASS_ACCESS_TOKEN_LIFETIME) must not be negative")
	}
	if c.SignsAfter != nil && c.Compromised {
		return errors.New("--compromised makes the new keys sign at once: leave out --signs-after")
	}
	if c.IDTokens && (c.API != "" || len(c.Also) > 0 || c.Algorithm == keyring.HS256) {
		return errors.New("--id-tokens is about keys that no API has: leave out --api and --also, " +
			"and set --algorithm to RS256, ES256 or EdDSA")
	}
	return nil
}

// Run adds the keys.
func (c *keyRotateCommand) Run(streams program.Streams) error {
	p, err := c.rotation().Prepare(time.Now())
	if err != nil {
		return unchanged(err)
	}
	defer p.Discard()
	return c.write(streams, p)
}

// rotation returns what the command line asks for.
func (c *keyRotateCommand) rotation() keyfile.Rotation {
	return keyfile.Rotation{
		Path:        c.Path,
		APIPath:     c.path(c.Path),
		Also:        c.Also,
		API:         c.API,
		IDTokens:    c.IDTokens,
		Algorithm:   c.Algorithm,
		SignsAfter:  c.SignsAfter,
		Lifetime:    c.Lifetime,
		Later:       c.Later,
		Compromised: c.Compromised,
	}
}

// write writes the files and says what is in them.
func (c *keyRotateCommand) write(streams program.Streams, p *keyfile.Prepared) error {
	created, err := p.Create()
	if err != nil {
		return unchanged(err)
	}
	if created != "" {
		fmt.Fprintf(streams.Out, "%s: created\n", created)
	}
	if err := p.Write(func(path string) { fmt.Fprintf(streams.Out, "%s: rotated\n", path) }); err != nil {
		return err
	}
	c.report(streams, p)
	return nil
}

// report says which keys were added, and what is left to do.
func (c *keyRotateCommand) report(streams program.Streams, p *keyfile.Prepared) {
	for _, next := range p.Keys() {
		fmt.Fprintln(streams.Out, describeSuccessor(next))
	}
	fmt.Fprint(streams.Err, c.note(p))
}

// describeSuccessor says what a new key is and when it signs.
func describeSuccessor(next *keyring.Successor) string {
	of := next.Algorithm
	switch {
	case next.ForIDTokens():
		of += ", ID tokens"
	case next.Audience != "":
		of += ", " + next.Audience
	}
	if next.Retires.IsZero() { // it is the first
		return fmt.Sprintf("key %s (%s) signs from %s", next.ID, of, next.SignsFrom.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("key %s (%s) signs from %s; previous keys verify until %s", next.ID, of,
		next.SignsFrom.UTC().Format(time.RFC3339), next.Retires.UTC().Format(time.RFC3339))
}

// note says what was ended and which APIs do not get the new keys by themselves.
func (c *keyRotateCommand) note(p *keyfile.Prepared) string {
	var note strings.Builder
	if c.Compromised {
		note.WriteString("ended all access tokens of the previous keys, as soon as the servers have read the files; " +
			"apps with a refresh token get new ones\n")
	} else {
		note.WriteString("ended no login\n")
	}
	for _, next := range p.Uncovered() {
		who, flag := "the default API", ""
		if next.Audience != "" {
			who, flag = next.Audience, " --api "+next.Audience
		}
		if next.Algorithm != keyring.HS256 {
			who += ", unless it has --keys-url,"
		}
		fmt.Fprintf(&note, "note: %s has a file of its own, which did not get the new key, and refuses its tokens "+
			"from %s: run 'authserver key export%s %s NEW' and put NEW in the place of that file; "+
			"the API reads it within seconds\n",
			who, next.SignsFrom.UTC().Format(time.RFC3339), flag, c.Path)
	}
	const private = "note: %s now has a private key, for ID tokens, which the API must not have: "
	if p.Creates() {
		fmt.Fprintf(&note, private+"restart the API with --keys-file %s (HALLPASS_KEYS_FILE)\n", c.Path, c.path(c.Path))
	}
	if p.NeedsExport() {
		fmt.Fprintf(&note, private+"run 'authserver key export %s NEW' and restart the API with --keys-file NEW "+
			"(HALLPASS_KEYS_FILE)\n", c.Path, c.Path)
	}
	if len(p.Uncovered()) == 0 {
		note.WriteString("note: no server has to restart; " +
			"copies of these files on other machines do not change by themselves\n")
	}
	return note.String()
}

// unchanged wraps an error that occurs before anything is written.
func unchanged(err error) error { return exitError("", fmt.Errorf("nothing was changed: %w", err)) }

// shownKey is a key as the command prints it, without its secret.
type shownKey struct {
	ID            string        `json:"kid"`
	Algorithm     string        `json:"alg"`
	Audience      string        `json:"aud,omitempty"` // empty for a key of no particular API
	IDTokens      bool          `json:"id_tokens,omitempty"`
	State         keyring.State `json:"state"`
	SignsFrom     *time.Time    `json:"signs_from,omitempty"`
	VerifiesUntil *time.Time    `json:"verifies_until,omitempty"`
}

type keyListCommand struct {
	Path string `arg:"" help:"JWK Set to list."`
	JSON bool   `help:"Print JSON."`
}

// Run lists the keys.
func (c *keyListCommand) Run(streams program.Streams) error {
	keys, err := admin.KeysIn(c.Path, time.Now())
	if err != nil {
		return exitError("", err)
	}
	show := func(k admin.Key) shownKey {
		return shownKey{
			ID:            k.ID,
			Algorithm:     k.Algorithm,
			Audience:      k.Audience,
			IDTokens:      k.IDTokens,
			State:         k.State,
			SignsFrom:     optional(k.SignsFrom),
			VerifiesUntil: optional(k.VerifiesUntil),
		}
	}
	header := []any{"KID", "ALG", "API", "STATE", "SIGNS FROM", "VERIFIES UNTIL"}
	return printList(streams.Out, c.JSON, each(keys, show), header, func(v shownKey) []any {
		from, until := formatTime(v.SignsFrom), formatTime(v.VerifiesUntil)
		of := cmp.Or(v.Audience, "-")
		if v.IDTokens {
			of = "ID tokens"
		}
		return []any{v.ID, v.Algorithm, of, v.State, from, until}
	})
}
