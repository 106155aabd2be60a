package main

import (
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// adminAPI sends a request to the admin API with the token in the file of that name, checks the status, and writes the
// body to the file response and the ETag to the variable etag: admin TOKEN STATUS METHOD PATH [BODY [IF-MATCH]]
func adminAPI(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 || len(args) > 6 {
		ts.Fatalf("usage: admin TOKEN STATUS METHOD PATH [BODY [IF-MATCH]]")
	}
	args = append(args, "", "")
	req, err := http.NewRequest(args[2], ts.Getenv("url")+"/admin/api/v1"+args[3], strings.NewReader(args[4]))
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(ts.ReadFile(args[0])))
	if args[4] != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if args[5] != "" {
		req.Header.Set("If-Match", args[5])
	}
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("response"), body, 0o600))
	ts.Setenv("etag", resp.Header.Get("ETag"))
	if strconv.Itoa(resp.StatusCode) != args[1] {
		ts.Fatalf("%s %s: %d %s, want %s", args[2], args[3], resp.StatusCode, body, args[1])
	}
	ts.Logf("%d %s", resp.StatusCode, body)
}
