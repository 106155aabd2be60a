package problem_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/problem"
)

// The members, and the media type application/problem+json (RFC 9457 section 3).
func TestWrite(t *testing.T) {
	tests := []struct {
		status int
		detail string
		want   string
	}{
		{404, "Not Found", `{"title":"Not Found","status":404,"detail":"Not Found"}`},
		{422, `"abc" is not an integer`, `{"title":"Unprocessable Entity","status":422,"detail":"\"abc\" is not an integer"}`},
		{503, "", `{"title":"Service Unavailable","status":503,"detail":""}`},
	}
	for _, tt := range tests {
		rec := httptest.NewRecorder()
		problem.Write(rec, tt.status, tt.detail)
		if rec.Code != tt.status || rec.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%d: status %d, Content-Type %q", tt.status, rec.Code, rec.Header().Get("Content-Type"))
		}
		if diff := cmp.Diff(tt.want, rec.Body.String()); diff != "" {
			t.Errorf("%d: body (-want +got):\n%s", tt.status, diff)
		}
	}
}

// Write drops the Content-Length of a body that a failed handler did not write.
func TestWriteDropsContentLength(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "3")
		problem.Write(w, http.StatusInternalServerError, "Internal Server Error")
	}))
	defer server.Close()
	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || !json.Valid(body) {
		t.Errorf("the body is %q (%v)", body, err)
	}
}

// Every detail is encoded.
func FuzzWrite(f *testing.F) {
	for _, s := range []string{"", "Not Found", `"`, "\x00\xff", `","status":200,"x":"`, "</script>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, detail string) {
		rec := httptest.NewRecorder()
		problem.Write(rec, http.StatusBadRequest, detail)
		var got map[string]any
		if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{"title": "Bad Request", "status": 400.0, "detail": string([]rune(detail))}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", detail, diff)
		}
	})
}
