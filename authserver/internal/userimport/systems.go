package userimport

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/passwordhash"
)

// keycloakCredential is a credential in an export of a realm. Data and secret are JSON within a string.
type keycloakCredential struct {
	Type   string `json:"type"`
	Data   string `json:"credentialData"`
	Secret string `json:"secretData"`
}

// keycloakUser reads a user of an export of Keycloak.
func keycloakUser(text []byte, e *Entry) {
	var u struct {
		ID          string               `json:"id"`
		Username    string               `json:"username"`
		FirstName   string               `json:"firstName"`
		LastName    string               `json:"lastName"`
		Email       string               `json:"email"`
		Verified    bool                 `json:"emailVerified"`
		Enabled     *bool                `json:"enabled"`
		Created     int64                `json:"createdTimestamp"` // in milliseconds
		Groups      []string             `json:"groups"`           // paths such as /staff/admins
		Service     string               `json:"serviceAccountClientId"`
		Credentials []keycloakCredential `json:"credentials"`
	}
	if err := json.Unmarshal(text, &u); err != nil {
		e.Err = jsonFault(err)
		return
	}
	e.User = admin.ImportedUser{
		Source: string(Keycloak), SourceID: u.ID, Username: u.Username,
		Name: strings.TrimSpace(u.FirstName + " " + u.LastName), Email: u.Email, EmailVerified: u.Verified,
		Disabled: u.Enabled != nil && !*u.Enabled,
	}
	if u.Created > 0 {
		e.User.CreatedAt = time.UnixMilli(u.Created)
	}
	for _, path := range u.Groups {
		e.User.Groups = append(e.User.Groups, strings.TrimPrefix(path, "/"))
	}
	if u.Service != "" {
		e.Err = fmt.Errorf("it is the service account of the client %q: add a client in place of it", u.Service)
		return
	}
	for _, c := range u.Credentials {
		switch c.Type {
		case "password":
			if e.User.PasswordHash == "" {
				e.User.PasswordHash, e.Err = c.hash()
			}
		case "password-history":
		default: // otp, webauthn, recovery-authn-codes ...
			e.SecondFactor = true
		}
	}
}

// hash returns a password hash.
func (c keycloakCredential) hash() (string, error) {
	var data struct {
		Algorithm  string              `json:"algorithm"`
		Iterations int64               `json:"hashIterations"`
		Parameters map[string][]string `json:"additionalParameters"`
	}
	var secret struct {
		Value []byte `json:"value"` // base64, as encoding/json reads it
		Salt  []byte `json:"salt"`
	}
	if json.Unmarshal([]byte(c.Data), &data) != nil || json.Unmarshal([]byte(c.Secret), &secret) != nil {
		return "", errors.New("the password credential is not as Keycloak writes it")
	}
	if data.Iterations < 1 || data.Iterations > 1<<31 {
		return "", fmt.Errorf("the password hash has %d iterations", data.Iterations)
	}
	iterations := uint32(data.Iterations)
	names := map[string]string{
		"pbkdf2": "pbkdf2-sha1", "pbkdf2-sha256": "pbkdf2-sha256", "pbkdf2-sha512": "pbkdf2-sha512",
	}
	if name, ok := names[data.Algorithm]; ok {
		h, err := passwordhash.NewPBKDF2(name, iterations, secret.Salt, secret.Value)
		return h.String(), err
	}
	if data.Algorithm != "argon2" {
		return "", fmt.Errorf("the algorithm %q of the password hash is not supported", data.Algorithm)
	}
	parameter := func(name string) string {
		if values := data.Parameters[name]; len(values) == 1 {
			return values[0]
		}
		return ""
	}
	if parameter("type") != "id" || parameter("version") != "1.3" {
		return "", fmt.Errorf("argon2 of type %q and version %q is not supported: only id and 1.3",
			parameter("type"), parameter("version"))
	}
	memory, err1 := strconv.ParseUint(parameter("memory"), 10, 32)
	threads, err2 := strconv.ParseUint(parameter("parallelism"), 10, 8)
	if err1 != nil || err2 != nil {
		return "", errors.New("the password credential has no memory or parallelism")
	}
	h, err := passwordhash.NewArgon2id(uint32(memory), iterations, uint8(threads), secret.Salt, secret.Value)
	return h.String(), err
}

// supabaseRows reads the rows of auth.users.
type supabaseRows struct{ now time.Time }

// json reads a row as JSON.
func (s supabaseRows) json(text []byte, e *Entry) {
	row, err := values(text)
	if err != nil {
		e.Err = err
		return
	}
	s.row(row, e)
}

// row reads a row.
func (s supabaseRows) row(row map[string]string, e *Entry) {
	var profile struct {
		FullName string `json:"full_name"`
		Name     string `json:"name"`
	}
	_ = json.Unmarshal([]byte(row["raw_user_meta_data"]), &profile) // users write there what they like
	e.User = admin.ImportedUser{
		Source: string(Supabase), SourceID: row["id"], Name: cmp.Or(profile.FullName, profile.Name), Email: row["email"],
		EmailVerified: row["email"] != "" && row["email_confirmed_at"] != "", PasswordHash: row["encrypted_password"],
	}
	if row["deleted_at"] != "" {
		e.Err = errors.New("the user was deleted there")
		return
	}
	banned, err := parseTime("banned_until", row["banned_until"])
	if err != nil && row["banned_until"] != "infinity" {
		e.Err = err
		return
	}
	e.User.Disabled = err != nil || banned.After(s.now)
	e.User.CreatedAt, e.Err = parseTime("created_at", row["created_at"])
}

// auth0 reads an export of users, and adds the password hashes of another file.
type auth0 struct {
	lines
	hashes map[string]string // by id
}

// newAuth0 reads all passwords.
func newAuth0(in *bufio.Reader, passwords io.Reader) (Reader, error) {
	a := &auth0{}
	a.lines = lines{in: in, parse: a.user}
	if passwords == nil {
		return a, nil
	}
	a.hashes = map[string]string{}
	file := lines{in: bufio.NewReaderSize(passwords, maxUser), parse: a.user}
	for {
		e, err := file.Next()
		switch {
		case errors.Is(err, io.EOF):
			return a, nil
		case err != nil:
			return nil, err
		case e.Err != nil:
			return nil, fmt.Errorf("%w: the passwords, %s: %w", ErrFormat, e.Where, e.Err)
		case e.User.PasswordHash != "":
			a.hashes[e.User.SourceID] = e.User.PasswordHash
		}
	}
}

// user reads a line of either file.
func (a *auth0) user(text []byte, e *Entry) {
	row, err := values(text)
	if err != nil {
		e.Err = err
		return
	}
	e.User = admin.ImportedUser{
		Source: string(Auth0), SourceID: auth0ID(row), Username: row["username"],
		Name: cmp.Or(row["name"], row["nickname"]), Email: row["email"], PasswordHash: row["passwordHash"],
	}
	if e.User.SourceID == "" {
		e.Err = errors.New("there is no user_id")
		return
	}
	if e.User.PasswordHash == "" {
		e.User.PasswordHash = a.hashes[e.User.SourceID]
	}
	e.SecondFactor = !slices.Contains([]string{"", "[]"}, row["multifactor"])
	if e.User.EmailVerified, e.Err = parseBool("email_verified", row["email_verified"]); e.Err != nil {
		return
	}
	if e.User.Disabled, e.Err = parseBool("blocked", row["blocked"]); e.Err != nil {
		return
	}
	e.User.CreatedAt, e.Err = parseTime("created_at", row["created_at"])
}

// auth0ID returns the id of a user. The file of passwords has it without "auth0|", as an id of MongoDB.
func auth0ID(row map[string]string) string {
	if id := row["user_id"]; id != "" {
		return id
	}
	var object struct {
		ID string `json:"$oid"`
	}
	id := row["_id"]
	if json.Unmarshal([]byte(id), &object) == nil {
		id = object.ID
	}
	if id == "" {
		return ""
	}
	return "auth0|" + id
}
