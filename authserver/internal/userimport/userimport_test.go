package userimport_test

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/passwordhash"
	"github.com/hallpass-auth/hallpass/authserver/internal/userimport"
)

var now = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

const (
	hash     = "$2b$10$abcdefghijklmnopqrstuuQTcV9kCwwwv.Fh5SAxuTf4up4QkyRqC"
	keycloak = `{"realm":"users","roles":{"users":[{"x":1}],"y":[["z"]]},"users":[
		{"id":"1","username":"ada","credentials":[{"type":"password",
		"secretData":"{\"value\":\"ST+AOqQNYyzjhyCcXYjtCRPvCtGjxprm9zU7k7FwvT0=\",\"salt\":\"MDEyMzQ1Njc4OWFiY2RlZg==\"}",
		"credentialData":"{\"hashIterations\":27500,\"algorithm\":\"pbkdf2-sha256\"}"}]},
		{"username":"grace","groups":["/a/b"]}],"clients":[{"users":["no"]}]}`
)

// read returns one line for each user of a file, and the error that ended it, or nil.
func read(t *testing.T, file string, o userimport.Options) (users []string, format userimport.Format, err error) {
	t.Helper()
	o.Now = now
	r, format, err := userimport.Open(strings.NewReader(file), o)
	if err != nil {
		return nil, format, err
	}
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return users, format, nil
		}
		if err != nil {
			return users, format, err
		}
		text := fmt.Sprintf("%s: %s %s", e.Where, e.User.Username, e.User.Email)
		if e.Err != nil {
			text += " refused"
		}
		users = append(users, text)
	}
}

func TestFormats(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 2<<20)
	for name, tt := range map[string]struct {
		file   string
		format userimport.Format
		want   string
	}{
		"CSV":                   {"username\nada\n\ngrace\n", userimport.CSV, "line 2: ada , line 4: grace "},
		"CSV with a BOM":        {"\ufeffusername,email\r\nada,a@b\r\n", userimport.CSV, "line 2: ada a@b"},
		"a value of two lines":  {"username,name\nada,\"A\nB\"\ngrace,\n", userimport.CSV, "line 2: ada , line 4: grace "},
		"a quote in the middle": {"username\na\"b\ngrace\n", userimport.CSV, "line 2:   refused, line 3: grace "},
		"JSON lines": {
			"\n{\"username\":\"ada\"}\n{\n{\"username\":1}\n{\"user\":\"x\",\"username\":\"x\"}\n{\"email\":\"a@b\"}",
			userimport.JSONL, "line 2: ada , line 3:   refused, line 4:   refused, line 5:   refused, line 6:  a@b",
		},
		"a long line": {
			"{\"username\":\"ada\"}\n{\"username\":\"" + long + "\"}\n{\"username\":\"grace\"}\n", userimport.JSONL,
			"line 1: ada , line 2:   refused, line 3: grace ",
		},
		"two objects in a line": {
			"{\"username\":\"ada\"}\n{\"username\":\"x\"} {}\n", userimport.JSONL, "line 1: ada , line 2:   refused",
		},
		"Keycloak":             {keycloak, userimport.Keycloak, "user 1: ada , user 2: grace "},
		"Supabase, an array":   {`[{"encrypted_password":"","email":"a@b"}, {"email":"c@d"}]`, userimport.Supabase, "user 1:  a@b, user 2:  c@d"},
		"Supabase, JSON lines": {`{"encrypted_password":"","email":"a@b"}`, userimport.Supabase, "line 1:  a@b"},
		"Supabase, CSV":        {"id,email,encrypted_password\n1,a@b,x\n", userimport.Supabase, "line 2:  a@b"},
		"Auth0":                {`{"user_id":"auth0|1","email":"a@b"}`, userimport.Auth0, "line 1:  a@b"},
	} {
		users, format, err := read(t, tt.file, userimport.Options{Format: userimport.Auto})
		if got := strings.Join(users, ", "); err != nil || format != tt.format || got != tt.want {
			t.Errorf("%s: got %s, %q, %v; want %s, %q", name, format, got, err, tt.format, tt.want)
		}
	}
}

// The rest of a file cannot be read after some faults. Those before are there.
func TestBrokenFiles(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3<<20)
	columns := "email,encrypted_password"
	for i := range 1000 {
		columns += ",c" + strconv.Itoa(i)
	}
	for name, tt := range map[string]struct {
		file string
		read int
	}{
		"nothing":                         {"", 0},
		"spaces":                          {" \n", 0},
		"unclear":                         {"hello", 0},
		"an unknown column":               {"username,password\n", 0},
		"a column twice":                  {"username,Username\n", 0},
		"a quote that is not closed":      {"username\nada\n\"" + long, 1},
		"too many columns":                {columns + "\n", 0},
		"a header without an end":         {"username," + long, 0},
		"Keycloak cut short":              {keycloak[:len(keycloak)-30], 2},
		"Keycloak with a huge user":       {`{"realm":"x","users":[{"username":"ada"},{"username":"` + long + `"}]}`, 1},
		"Keycloak with something huge":    {`{"realm":"x","users":[{"username":"ada"}],"x":"` + long + `"}`, 1},
		"Keycloak and something after it": {`{"realm":"x","users":[{"username":"ada"}]} {}`, 1},
		"an array that does not end":      {`[{"encrypted_password":""}`, 1},
	} {
		users, _, err := read(t, tt.file, userimport.Options{Format: userimport.Auto})
		if !errors.Is(err, userimport.ErrFormat) || len(users) != tt.read {
			t.Errorf("%s: %d users, error %v; want %d, %v", name, len(users), err, tt.read, userimport.ErrFormat)
		}
		if err != nil && len(err.Error()) > 1000 {
			t.Errorf("%s: the error has %d bytes", name, len(err.Error()))
		}
	}
	_, _, err := read(t, "[]", userimport.Options{Format: userimport.Keycloak})
	if !errors.Is(err, userimport.ErrFormat) {
		t.Errorf("an array as Keycloak: %v", err)
	}
}

// endless is a file of so many users, which is made while it is read.
type endless struct {
	left int
	rest string
}

func (e *endless) Read(p []byte) (int, error) {
	if e.rest == "" {
		if e.left--; e.left < 0 {
			return 0, io.EOF
		}
		e.rest = fmt.Sprintf("{\"username\":\"user%d\",\"password_hash\":%q}\n", e.left, hash)
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// Users are read before the file has ended.
func TestFilesAreStreamed(t *testing.T) {
	t.Parallel()
	file := &endless{left: 100_000}
	r, _, err := userimport.Open(file, userimport.Options{Format: userimport.JSONL, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); err != nil || file.left < 80_000 {
		t.Errorf("first user: %v, %d users are left to read", err, file.left)
	}
}

// fuzz checks that a reader ends, accepts no hash of unlimited cost, and reports errors without the hash.
func fuzz(f *testing.F, format userimport.Format, seeds ...string) {
	f.Helper()
	for _, seed := range seeds {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, file, passwords string) {
		o := userimport.Options{Format: format, Now: now}
		if format == userimport.Auth0 {
			o.Passwords = strings.NewReader(passwords)
		}
		r, _, err := userimport.Open(strings.NewReader(file), o)
		for n := 0; err == nil; n++ {
			var e userimport.Entry
			e, err = r.Next()
			if n > len(file)+1 {
				t.Fatal("there are more users than bytes")
			}
			if err == nil && e.Where == "" {
				t.Fatal("a user is nowhere")
			}
			if e.Err == nil && format == userimport.Keycloak && e.User.PasswordHash != "" {
				if _, err := passwordhash.Foreign(e.User.PasswordHash); err != nil {
					t.Fatalf("the hash %s: %v", e.User.PasswordHash, err)
				}
			}
		}
		if !errors.Is(err, io.EOF) && !errors.Is(err, userimport.ErrFormat) {
			t.Fatalf("error %v", err)
		}
	})
}

func FuzzCSV(f *testing.F) {
	fuzz(f, userimport.CSV,
		"username,groups,email_verified\nada,a b,true\n\"x\ny\",,\n", "email\n\"", "\ufeffusername\r\n=1")
}

func FuzzJSONL(f *testing.F) {
	fuzz(f, userimport.JSONL,
		`{"username":"ada","groups":["a"],"created_at":"2020-01-02T03:04:05Z"}`, "{\n{}\n[]\nnull\n1")
}

func FuzzKeycloak(f *testing.F) {
	fuzz(f, userimport.Keycloak, keycloak, keycloak[:200], "[", `{"users":{}}`)
}

func FuzzSupabase(f *testing.F) {
	fuzz(f, userimport.Supabase,
		`[{"id":"1","email":"a@b","raw_user_meta_data":{"name":1}}]`, `{"banned_until":"infinity"}`,
		"id,email,encrypted_password,raw_user_meta_data\n1,a@b,x,\"{\"\"name\"\":\"\"x\"\"}\"\n")
}

func FuzzAuth0(f *testing.F) {
	fuzz(f, userimport.Auth0, `{"user_id":"auth0|1","email":"a@b","blocked":true,"multifactor":["x"]}`,
		`{"_id":{"$oid":"1"},"passwordHash":"`+hash+`"}`, `{"_id":"1"}`)
}
