package main

import (
	"fmt"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/keyfile"
)

// note returns what the operator still has to do, or wait for, before there are tokens for the API;
// empty if nothing.
func (c *apiAddCommand) note(now time.Time) string {
	if c.KeysFile == "" {
		return "note: --keys-file (HALLPASS_KEYS_FILE) is not given, so this command cannot see whether there is a key " +
			"for the API. With an asymmetric key there are tokens at once. Otherwise no token for this API is issued until " +
			"it has a secret: run 'authserver api delete " + c.Audience + "' and add it again with --secret-to\n"
	}
	ring, err := keyfile.ReadRing(c.KeysFile)
	if err != nil {
		return fmt.Sprintf("note: no token for this API is issued until the server has a key for it: %v\n", err)
	}
	if c.SecretTo != "" {
		return c.secretNote(ring)
	}
	_, errNow := ring.SignerFor(c.Audience, now)
	// Every key that 'api delete' has retired is gone by then.
	later, errLater := ring.SignerFor(c.Audience, now.Add(grant.MaxTokenLifetime))
	switch {
	case errLater != nil:
		return "note: no token for this API is issued until the server has a key for it that does not expire: run " +
			"'authserver key rotate --algorithm EdDSA " + c.KeysFile + "' for a key that signs for every API, " +
			"or delete the API and add it again with --secret-to\n"
	case errNow != nil:
		return fmt.Sprintf("note: wait for the key %s: it signs from %s, and until then no token for this API is issued\n",
			later.ID, later.SignsFrom.UTC().Format(time.RFC3339))
	}
	return ""
}

// secretNote says which running servers get the secret, and which do not follow.
func (c *apiAddCommand) secretNote(ring *keyring.Ring) string {
	note := fmt.Sprintf("note: wait a few seconds: the authorization server reads %s again and then issues tokens "+
		"for the API, without a restart. Start the API with --keys-file %s (HALLPASS_KEYS_FILE)\n", c.KeysFile, c.SecretTo)
	own, err := keyfile.ExistingAPIPath(keyfile.APIPath(c.KeysFile))
	if !keyfile.HasSharedSecret(ring) || own != "" && err == nil {
		return note // the default API reads public keys, or a file of its own
	}
	return note + fmt.Sprintf("note: %s now has the secrets of several APIs: give it to the authorization server only. "+
		"A running default API that reads it keeps using the keys that it has, and will miss the next rotation: "+
		"run 'authserver key export %s NEW', and restart that API with --keys-file NEW (HALLPASS_KEYS_FILE)\n",
		c.KeysFile, c.KeysFile)
}
