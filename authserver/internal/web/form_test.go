package web_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/hallpass-auth/hallpass/shared/oauth"
)

const urlencoded = "application/x-www-form-urlencoded"

// RFC 6749 section 2.3.1: no credentials in the URI, which ends up in logs.
func TestNothingInTheQuery(t *testing.T) {
	s := newSite(t)
	for query, says := range map[string]string{
		login():                              "password and username must be in the body",
		"grant_type=password":                "grant_type must be in the body",
		"client_id=demo&client_secret=xyzzy": "client_id and client_secret must be in the body",
		"x=y":                                "none in the query",
		"%zz":                                "none in the query",
		"a;b":                                "none in the query",
		"=":                                  "none in the query",
	} {
		for _, body := range []string{"", login()} {
			a := s.post(body, func(r *http.Request) { r.URL.RawQuery = query })
			a.expect(query, http.StatusBadRequest, oauth.CodeInvalidRequest, says)
		}
	}
	s.expectOK("a question mark alone", s.post(login(), func(r *http.Request) { r.URL.ForceQuery = true }))
}

// RFC 6749 section 5.2: a repeated parameter is refused, whichever it is.
func TestRepeatedParameters(t *testing.T) {
	s := newSite(t)
	for more, says := range map[string]string{
		"username=john.doe": "username", "password=x": "password", "password=": "password",
		"grant_type=password&grant_type=password": "grant_type",
		"client_id=demo&client_id=demo":           "client_id", "scope=a&scope=a": "scope", "scope=&scope=": "scope",
		"x=1&x=1": "a parameter", "=&=": "a parameter",
		"%75sername=x": "username",
	} {
		s.post(login()+"&"+more).expect(more, http.StatusBadRequest, oauth.CodeInvalidRequest,
			says+" is given more than once")
	}
	// The same request with several mistakes always gets the same response.
	for range 20 {
		s.post(login()+"&b=%00&username=x&password=y&a=%ff").expect("mistakes", http.StatusBadRequest,
			oauth.CodeInvalidRequest, "a parameter is not valid UTF-8")
	}
}

// RFC 6749 section 3.2: an empty parameter is absent, an unknown one is ignored.
func TestEmptyAndUnknownParameters(t *testing.T) {
	s := newSite(t)
	for _, more := range []string{"grant_type=", "scope=", "client_id=", "client_secret=", "x=", "x=y", "x", "&&&",
		"audience=a", "resource=", "refresh_token=x&code=y", "username2=x"} {
		s.expectOK(more, s.post(login()+"&"+more))
	}
}

// The response to a malformed body says what is wrong.
func TestBadForms(t *testing.T) {
	s := newSite(t)
	for body, says := range map[string]string{
		"":                                       "missing: username and password",
		"username=&password=":                    "missing: username and password",
		"{}":                                     "missing: username and password", // one parameter named {}
		login() + "&x=%zz":                       "percent sign",
		"username=%&password=x":                  "percent sign",
		"username=%4":                            "percent sign",
		login() + "&%zz=x":                       "percent sign",
		"username=john;password=x":               "semicolon",
		login("username", "john\xffdoe"):         "username is not valid UTF-8",
		"username=john\xffdoe&password=x":        "username is not valid UTF-8",
		login("password", "\xc3("):               "password is not valid UTF-8",
		login("x", "\xff"):                       "a parameter is not valid UTF-8",
		login("x\xff", "y"):                      "a parameter is not valid UTF-8",
		login("username", "john\x00doe"):         "username holds a NUL",
		login("password", password+"\x00x"):      "password holds a NUL",
		login("scope", "profile\x00"):            "scope holds a NUL",
		login("client_id", demo+"\x00"):          "client_id holds a NUL",
		login("x\x00", "y"):                      "a parameter holds a NUL",
		login("x", strings.Repeat("y", 16<<10)):  "larger than 16384 bytes",
		"username=" + strings.Repeat("x", 1<<20): "larger than 16384 bytes",
	} {
		s.post(body).expect(body[:min(len(body), 40)], http.StatusBadRequest, oauth.CodeInvalidRequest, says)
	}
	s.expectOK("the largest body", s.post(login("x", strings.Repeat("y", 16<<10-len(login("x", "y"))+1))))
	s.expectOK("a pair of encodings", s.post("username=%6aohn%2edoe&password=secure%70assword"))
}

// A body that ends early is not called malformed.
func TestBodyThatEndsEarly(t *testing.T) {
	s := newSite(t)
	for _, err := range []error{io.ErrUnexpectedEOF, &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}} {
		r := httptest.NewRequest(http.MethodPost, issuer+"/token",
			io.MultiReader(strings.NewReader(login()), iotest.ErrReader(err)))
		r.Header.Set("Content-Type", urlencoded)
		s.tokenAnswer(s.serve(r)).expect(err.Error(), http.StatusBadRequest, oauth.CodeInvalidRequest, "ended early")
	}
}

func TestContentTypes(t *testing.T) {
	s := newSite(t)
	for _, good := range []string{urlencoded, urlencoded + "; charset=UTF-8", urlencoded + ";charset=iso-8859-1",
		"APPLICATION/X-WWW-FORM-URLENCODED", " " + urlencoded + " "} {
		s.expectOK(good, s.post(login(), header("Content-Type", good)))
	}
	for _, bad := range [][]string{
		nil, {""}, {"application/json"}, {"text/plain"}, {"text/html"}, {urlencoded, urlencoded},
		{urlencoded, "application/json"}, {"application/json", urlencoded},
		{urlencoded + ", application/json"}, {urlencoded + "; charset"}, {"application/x-www-form-urlencode"}, {"*/*"},
		{"multipart/mixed; boundary=x"}, {"/"}, {";"},
	} {
		for _, body := range []string{login(), `{"username":"john.doe","password":"securepassword"}`, ""} {
			s.post(body, header("Content-Type", bad...)).expect(strings.Join(bad, " and "), http.StatusBadRequest,
				oauth.CodeInvalidRequest, "username, password")
		}
	}
}

func TestCompressedBody(t *testing.T) {
	s := newSite(t)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write([]byte(login()))
	s.must(err)
	s.must(w.Close())
	for _, encoding := range []string{"gzip", "deflate", "br", "identity, gzip", "x"} {
		for _, body := range []string{packed.String(), login()} {
			s.post(body, header("Content-Encoding", encoding)).expect(encoding, http.StatusBadRequest, oauth.CodeInvalidRequest,
				"Content-Encoding")
		}
	}
	s.expectOK("identity", s.post(login(), header("Content-Encoding", "identity")))
}

// parts writes a multipart form: name, value and so on. A name that ends in a colon means a
// file.
func parts(t *testing.T, pairs ...string) (contentType, body string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		create := w.CreateFormField
		name, isFile := strings.CutSuffix(pairs[i], ":")
		if isFile {
			create = func(name string) (io.Writer, error) { return w.CreateFormFile(name, "file.txt") }
		}
		part, err := create(name)
		if err == nil {
			_, err = part.Write([]byte(pairs[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), b.String()
}

// Multipart forms are accepted for the password grant, as in the FastAPI tutorial.
func TestMultipart(t *testing.T) {
	s := newSite(t)
	send := func(pairs ...string) answer {
		contentType, body := parts(t, pairs...)
		return s.post(body, header("Content-Type", contentType))
	}
	s.expectOK("login", send("username", john, "password", password))
	s.expectOK("login", send("grant_type", "password", "username", john, "password", password, "client_id", public,
		"scope", "profile", "x", "y", "code", ""))
	contentType, body := parts(t, "username", john, "password", password, "grant_type", "password")
	s.expectOK("with Basic", s.post(body, header("Content-Type", contentType), basic(backend, s.secrets[backend])))

	for name, tt := range map[string]struct {
		answer answer
		says   string
	}{
		"a file":           {send("username", john, "password", password, "avatar:", "x"), "must not hold files"},
		"username as file": {send("username:", john, "password", password), "must not hold files"},
		"another grant":    {send("grant_type", "refresh_token", "refresh_token", "x"), "urlencoded for this grant type"},
		"service": {send("grant_type", "client_credentials", "client_id", reporter),
			"urlencoded for this grant type"},
		"repeated": {send("username", john, "password", password, "password", password),
			"password is given more than once"},
		"two grant types": {send("grant_type", "password", "grant_type", "refresh_token", "username", john, "password",
			password), "more than once"},
		"NUL":       {send("username", john+"\x00", "password", password), "NUL"},
		"not UTF-8": {send("username", "\xff", "password", password), "UTF-8"},
		"nothing":   {send(), "missing: username and password"},
		"too large": {send("username", john, "password", password, "x", strings.Repeat("y", 16<<10)),
			"larger than 16384 bytes"},
		"too large a file": {send("username", john, "password", password, "x:", strings.Repeat("y", 1<<20)),
			"larger than 16384 bytes"},
		"no boundary":      {s.post(body, header("Content-Type", "multipart/form-data")), "multipart form"},
		"another boundary": {s.post(body, header("Content-Type", "multipart/form-data; boundary=x")), "multipart form"},
		"cut off":          {s.post(body[:len(body)-20], header("Content-Type", contentType)), "ended early"},
		"empty":            {s.post("", header("Content-Type", contentType)), "multipart form"},
		"in fact no parts": {s.post(login(), header("Content-Type", contentType)), "multipart form"},
		"parameters beside": {s.post(body, header("Content-Type", contentType),
			func(r *http.Request) { r.URL.RawQuery = "username=x" }), "not in the query"},
	} {
		tt.answer.expect(name, http.StatusBadRequest, oauth.CodeInvalidRequest, tt.says)
	}
}
