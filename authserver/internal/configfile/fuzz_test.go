package configfile_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/authserver/internal/configfile"
)

// sources has every variable and every file.
var sources = configfile.Sources{
	Env:  func(string) (string, bool) { return "0123456789abcdef0123456789abcdef", true },
	File: func(string) ([]byte, error) { return nil, os.ErrNotExist },
}

// What Parse accepts, Format writes so that Parse reads the same: byte by byte, and the same is desired.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"",
		"# nothing\n---\n{}\n",
		"apis: [{audience: https://api.example, name: \"A: b #c\", scopes: [a, 'b:c']}, {audience: default, any_scope: true}]",
		"scopes:\n  - scope: items:read\n    description: \"See \u00fcber\"\n---\nscopes: [{scope: 'true', description: 'null'}]\n",
		"clients:\n- id: web\n  secret: {env: X}\n  grant_types: [authorization_code, refresh_token]\n  scopes: [a]\n" +
			"  redirect_uris: [https://web.example/cb, com.example.app:/cb]\n  introspects_for: [default]\n  require_par: true\n",
		"clients:\n- id: w\n  assertion: {issuer: https://i.example, subject: 's: x'}\n  grant_types: [client_credentials]\n" +
			"  scopes: [a]\n  id_token_alg: EdDSA\n",
		"a: &a [x]\nb: *a\n",
		"clients: [" + strings.Repeat("[", 100),
		"<<: {}\n? [a]\n: b\n",
		"\xff\x00",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := configfile.Parse("f.yaml", []byte(text))
		if err != nil {
			if !errors.Is(err, configfile.ErrBad) || !strings.HasPrefix(err.Error(), "f.yaml") {
				t.Fatalf("error %q, want ErrBad with the name of the file", err)
			}
			return
		}
		written, err := c.Format()
		if err != nil {
			t.Fatal(err)
		}
		again, err := configfile.Parse("f.yaml", written)
		if err != nil {
			t.Fatalf("%v in what was written:\n%s", err, written)
		}
		rewritten, err := again.Format()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(written), string(rewritten)); diff != "" {
			t.Fatalf("written differently: %s", diff)
		}
		first, err := c.Desired(sources)
		second, errAgain := again.Desired(sources)
		if (err == nil) != (errAgain == nil) {
			t.Fatalf("errors %v and %v", err, errAgain)
		}
		if diff := cmp.Diff(first, second); diff != "" && err == nil {
			t.Fatalf("something else is desired: %s", diff)
		}
	})
}
