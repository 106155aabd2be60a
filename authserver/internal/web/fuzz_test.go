package web_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// The token endpoint responds to any request by RFC 6749 section 5: with JSON, a status and an
// error code that go together, and no forbidden character in the description. It never fails,
// and never repeats the password.
func FuzzToken(f *testing.F) {
	const marked = "pa55word-of-the-fuzz"
	const form = "application/x-www-form-urlencoded"
	for _, seed := range [][3]string{
		{login(), form, ""},
		{login("password", marked), form, ""},
		{login("username", marked, "password", marked), form, ""},
		{passwordGrant("client_id", backend, "client_secret", "x", "scope", "profile"), form, ""},
		{passwordGrant("scope", "\"\\\x00é<script>"), form, "Basic c3BhOg=="},
		{"grant_type=refresh_token&refresh_token=hpr_x", form, ""},
		{"grant_type=authorization_code&code=x&redirect_uri=https://x.example&code_verifier=" + strings.Repeat("v", 43), form,
			""},
		{login("resource", "https://api.example/\x00"), form, ""},
		{"grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code=hpd_x&client_id=tv", form, ""},
		{"grant_type=client_credentials", form, "Basic YmFja2VuZDp4"},
		{"a=b&a=c&%zz;\xff\x00", form, "Basic !!!"},
		{"--b\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\njohn.doe\r\n--b--\r\n",
			"multipart/form-data; boundary=b", ""},
		{"--b\r\nContent-Disposition: form-data; name=\"password\"; filename=\"x\"\r\n\r\n" + marked + "\r\n--b--\r\n",
			"multipart/form-data; boundary=b", ""},
		{`{"username":"john.doe","password":"` + marked + `"}`, "application/json", "Bearer x"},
		{"", "", ""},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	s := newSite(f)
	s.hide(marked)
	f.Fuzz(func(t *testing.T, body, contentType, authorization string) {
		s.wait(time.Hour) // so that earlier failures slow nothing down
		s := &site{t: t, handler: s.handler}
		r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(body))
		r.Header["Content-Type"] = []string{contentType}
		if authorization != "" {
			r.Header["Authorization"] = []string{authorization}
		}
		a := s.tokenAnswer(s.serve(r))
		if !slices.Contains([]int{http.StatusOK, http.StatusBadRequest, http.StatusUnauthorized, http.StatusTooManyRequests},
			a.status) {
			t.Errorf("status %d: %s", a.status, a.text)
		}
		if strings.Contains(a.text, marked) && strings.Count(body, marked) == 1 &&
			strings.Contains(body, "password="+marked) {
			t.Errorf("the response has the password: %s", a.text)
		}
	})
}
