package adminapi_test

import (
	"flag"
	"net/http"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/authserver/internal/adminapi"
)

var update = flag.Bool("update", false, "write testdata/openapi.json")

// The OpenAPI document is what clients are made from: a change of it is a change of the API.
func TestOpenAPI(t *testing.T) {
	const golden = "testdata/openapi.json"
	got := start(t).call(http.MethodGet, "/openapi.json", "", "").body
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the document has changed; 'go test ./authserver/internal/adminapi -run TestOpenAPI -update' accepts it "+
			"(-want +got):\n%s", diff)
	}
}

// The path of the API leads to the page with its operations.
func TestPathLeadsToDocs(t *testing.T) {
	got := start(t).call(http.MethodGet, "", "", "")
	got.expect(t, "the path of the API", http.StatusOK, "SwaggerUI")
	if path := got.Request.URL.Path; path != adminapi.Path+"/docs" {
		t.Errorf("it leads to %s", path)
	}
}

// A cursor is read as it was written, and whatever is accepted is what EncodeCursor writes.
func FuzzDecodeCursor(f *testing.F) {
	for _, key := range []string{"", "ada", "ada@example.com", "é\U0001F600", "1", "=="} {
		f.Add(adminapi.EncodeCursor(key))
	}
	f.Add("MQ")      // no key
	f.Add("MWFkYQ ") // a space
	f.Add("MQD_")    // not UTF-8
	f.Fuzz(func(t *testing.T, cursor string) {
		key, err := adminapi.DecodeCursor(cursor)
		if err == nil && adminapi.EncodeCursor(key) != cursor {
			t.Errorf("%q is accepted as %q, whose cursor is %q", cursor, key, adminapi.EncodeCursor(key))
		}
		if again, err := adminapi.DecodeCursor(adminapi.EncodeCursor(cursor)); err == nil && again != cursor {
			t.Errorf("the key %q comes back as %q", cursor, again)
		}
	})
}
