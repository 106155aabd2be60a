package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/errgroup"
)

// population is what a database is filled with: grants of users, a hundredth of which was revoked in the last day.
type population struct {
	users, grants int64
	// tokens are refresh tokens of some of the grants, which are picked at random, and cookies those of sessions.
	tokens, cookies []string
}

const (
	growthClient = "growth" // the client of all grants
	knownTokens  = 4000     // how many grants have a refresh token that is known
	sessions     = 1000     // how many users are logged in with a browser
	fillers      = 4        // connections that fill PostgreSQL
	day          = 24 * 60 * 60
)

func growthUsername(number int64) string { return fmt.Sprintf("user%08d", number) }

// mixed returns 32 bytes that look random, for a kind of value and a number.
func mixed(kind string, number int64) []byte {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(kind), uint64(number)))
	return sum[:]
}

// digested returns what the database has of a secret.
func digested[T string | []byte](secret T) string {
	sum := sha256.Sum256([]byte(secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// fillSQL is the text of statements that fill a database. $name stands for an expression of the engine.
type fillSQL struct{ driver, text, random, series, overriding string }

var (
	fillPostgres = fillSQL{
		"pgx", "md5(random()::text) || 'abcdefghijk'", "floor(random() * %d)::bigint",
		"generate_series(%d::bigint, %d::bigint) AS s(n)", "OVERRIDING SYSTEM VALUE",
	}
	fillSQLite = fillSQL{
		"sqlite", "hex(randomblob(21)) || 'x'", "abs(random() %% %d)",
		"(WITH RECURSIVE s(n) AS (SELECT %d UNION ALL SELECT n + 1 FROM s WHERE n < %d) SELECT n FROM s) AS s", "",
	}
)

// insertUsers returns the statement that inserts users. Their ids are random.
func (f fillSQL) insertUsers(users int64, hash string, now int64) string {
	name := "'user' || substr('0000000' || CAST(n AS TEXT), length(CAST(n AS TEXT)), 8)"
	return fmt.Sprintf("INSERT INTO users (id, username, name, password_hash, created_at, skeleton) "+
		"SELECT 'usr_' || %s, %s, 'User ' || CAST(n AS TEXT), '%s', %d, %s FROM "+f.series,
		f.text, name, hash, now-200*day, name, 0, users-1)
}

// insertGrants returns the statement that inserts the grants with the numbers from first to last, each refreshed once.
// numbered has the ids of users by their number.
func (f fillSQL) insertGrants(users, first, last, now int64) string {
	random := func(below int64) string { return fmt.Sprintf(f.random, below) }
	trail := fmt.Sprintf(`'[{"digest":"' || %s || '","seed":"' || %s || '=","at":%d}]'`, f.text, f.text, (now-day)*1000)
	return fmt.Sprintf("INSERT INTO grants (number, type, client_id, user_id, scope, created_at, expires_at, revoked_at, "+
		"refresh_family, refresh_digest, refresh_trail, refresh_ends_at, refresh_expires_at) %s "+
		"SELECT n, 'authorization_code', '%s', id, 'profile', at, at + %d, gone, %s, %s, %s, at + %d, %d + %s FROM "+
		"(SELECT n, id, %d - %s AS at, CASE WHEN %s = 0 THEN %d - %s END AS gone FROM "+f.series+
		" JOIN numbered ON numbered.number = n %% %d) AS made",
		f.overriding, growthClient, 180*day+1810, f.text, f.text, trail, 180*day, now+day, random(29*day),
		now, random(140*day), random(100), now, random(day-3600), first, last, users)
}

// fill fills a database, which has the client. It leaves out the indexes of the grants meanwhile.
func fill(ctx context.Context, database string, users, grantsPerUser int64) (population, error) {
	p := population{users: users, grants: users * grantsPerUser}
	f, url, parallel := fillPostgres, database, int64(fillers)
	if path, ok := strings.CutPrefix(database, "sqlite:"); ok {
		f, parallel = fillSQLite, 1
		url = path + "?_pragma=synchronous(OFF)&_pragma=journal_mode(WAL)&_pragma=cache_size(-1000000)&_pragma=temp_store(2)"
	}
	if f.driver == "pgx" { // without checks of foreign keys
		url += "&session_replication_role=replica&maintenance_work_mem=1GB"
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), lowCost)
	if err != nil {
		return p, err
	}
	db, err := sql.Open(f.driver, url)
	if err != nil {
		return p, err
	}
	defer db.Close()
	db.SetMaxOpenConns(int(parallel))
	now := time.Now().Unix()
	first := []string{
		f.insertUsers(users, string(hash), now),
		"CREATE TABLE numbered AS SELECT CAST(substr(username, 5) AS INTEGER) AS number, id " +
			"FROM users WHERE username LIKE 'user%'",
		"CREATE UNIQUE INDEX numbered_by_number ON numbered (number)",
	}
	indexes, err := grantIndexes(ctx, db, f)
	if err != nil {
		return p, err
	}
	for name := range indexes {
		first = append(first, "DROP INDEX "+name)
	}
	if err := runEach(ctx, db, 1, first); err != nil {
		return p, err
	}
	var parts []string
	for i := range parallel {
		parts = append(parts, f.insertGrants(users, 1+p.grants*i/parallel, p.grants*(i+1)/parallel, now))
	}
	if err := runEach(ctx, db, parallel, parts); err != nil {
		return p, err
	}
	if err := p.addKnown(ctx, db, now); err != nil {
		return p, err
	}
	var again []string
	for _, definition := range indexes {
		again = append(again, definition)
	}
	if err := runEach(ctx, db, parallel, again); err != nil {
		return p, err
	}
	last := []string{"DROP TABLE numbered", "ANALYZE"}
	if f.driver == "pgx" {
		last = []string{
			"DROP TABLE numbered", "SELECT setval(pg_get_serial_sequence('grants', 'number'), (SELECT MAX(number) FROM grants))",
			"VACUUM (ANALYZE) grants", "VACUUM (ANALYZE) users", "CHECKPOINT",
		}
	}
	return p, runEach(ctx, db, 1, last)
}

// grantIndexes returns the definitions of the indexes of the grants by their names, without that of the primary key.
func grantIndexes(ctx context.Context, db *sql.DB, f fillSQL) (map[string]string, error) {
	query := "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'grants' AND indexname <> 'grants_pkey'"
	if f.driver == "sqlite" {
		query = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'grants' AND sql IS NOT NULL"
	}
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	definitions := map[string]string{}
	for rows.Next() {
		var name, definition string
		if err := rows.Scan(&name, &definition); err != nil {
			return nil, err
		}
		definitions[name] = definition
	}
	return definitions, rows.Err()
}

// runEach runs statements, a number of them at a time.
func runEach(ctx context.Context, db *sql.DB, atOnce int64, statements []string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(int(atOnce))
	for _, statement := range statements {
		group.Go(func() error {
			if _, err := db.ExecContext(ctx, statement); err != nil {
				return fmt.Errorf("%.100s: %w", statement, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// addKnown logs some users in, and gives some grants, picked at random, refresh tokens that are known.
func (p *population) addKnown(ctx context.Context, db *sql.DB, now int64) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // no effect after Commit
	for i := range min(sessions, p.users) {
		value := base64.RawURLEncoding.EncodeToString(mixed("session", i))
		_, err := tx.ExecContext(ctx, "INSERT INTO sessions (digest, user_id, created_at, expires_at) "+
			"SELECT $1, id, $2, $3 FROM users WHERE username = $4", digested(value), now, now+day/2, growthUsername(i))
		if err != nil {
			return err
		}
		p.cookies = append(p.cookies, value)
	}
	known := map[int64]bool{}
	for len(known) < int(min(knownTokens, p.grants/2)) {
		number := 1 + rand.Int64N(p.grants)
		if known[number] {
			continue
		}
		known[number] = true
		family, secret := mixed("family", number)[:16], mixed("secret", number)
		_, err := tx.ExecContext(ctx, "UPDATE grants SET refresh_family = $2, refresh_digest = $3, revoked_at = NULL "+
			"WHERE number = $1", number, digested(family), digested(secret))
		if err != nil {
			return err
		}
		raw := binary.BigEndian.AppendUint64(nil, uint64(number))
		p.tokens = append(p.tokens, "hpr_"+base64.RawURLEncoding.EncodeToString(append(append(raw, family...), secret...)))
	}
	return tx.Commit()
}

// errNoTokens means that more rounds were asked for than there are refresh tokens.
var errNoTokens = errors.New("no refresh token is left: take fewer rounds")

// token returns a refresh token, each once.
func (p *population) token() (string, error) {
	if len(p.tokens) == 0 {
		return "", errNoTokens
	}
	token := p.tokens[0]
	p.tokens = p.tokens[1:]
	return token, nil
}
