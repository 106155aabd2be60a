package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var redemptionTests = []test{
	{"a redemption is confirmed", testConfirmCode},
	{"a redemption is taken back", testTakeBackCode},
	{"a redemption is taken back beside another one", testTakeBackBesideCode},
	{"a redemption is never decided", testUndecidedCode},
	{"a redemption of a device is confirmed", testConfirmDevice},
	{"a redemption of a device is taken back", testTakeBackDevice},
	{"a redemption of a device is taken back beside another one", testTakeBackBesideDevice},
	{"a redemption of a device is never decided", testUndecidedDevice},
}

// attempted returns the grant of a code by an attempt.
func attempted(code grant.Code, attempt string) grant.Grant {
	g := grantOf(code)
	g.Attempt = attempt
	return g
}

// Until a redemption is confirmed, the code is neither free nor used. Then it is used (RFC 6749 section 4.1.2).
func testConfirmCode(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	code := addCode(t, s, "code", u, c)
	number, err := s.RedeemCode(ctx, "code", attempted(code, "first"))
	must(t, err)
	_, err = s.RedeemCode(ctx, "code", attempted(code, "second"))
	expect(t, "redeeming before the confirmation", err, grant.ErrCodeUndecided)
	must(t, s.ConfirmCode(ctx, "code", "second")) // of nobody
	_, err = s.RedeemCode(ctx, "code", attempted(code, "second"))
	expect(t, "redeeming after another confirmation", err, grant.ErrCodeUndecided)
	must(t, s.ConfirmCode(ctx, "code", "first"))
	must(t, s.ConfirmCode(ctx, "code", "first"))
	must(t, s.TakeBackCode(ctx, "code", "first", start)) // too late
	given, err := s.RedeemCode(ctx, "code", attempted(code, "second"))
	expect(t, "redeeming after the confirmation", err, grant.ErrCodeUsed)
	same(t, "grant of the code", number, given)
	same(t, "active grants", 1, activeGrants(t, s))
}

// A redemption that is taken back has given nothing: its grant is revoked, and the code is as it was.
func testTakeBackCode(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	code := addCode(t, s, "code", u, c)
	must(t, s.TakeBackCode(ctx, "code", "first", start)) // it was not committed
	must(t, s.TakeBackCode(ctx, "no code", "first", start))
	first, err := s.RedeemCode(ctx, "code", attempted(code, "first"))
	must(t, err)
	must(t, s.TakeBackCode(ctx, "code", "second", start)) // of nobody
	expectRevoked(t, s, first, false)
	must(t, s.TakeBackCode(ctx, "code", "first", start))
	must(t, s.TakeBackCode(ctx, "code", "first", start))
	expectRevoked(t, s, first, true)
	got, err := s.CodeByDigest(ctx, "code")
	must(t, err)
	same(t, "code", code, got)
	second, err := s.RedeemCode(ctx, "code", attempted(code, "second"))
	must(t, err)
	if first == second {
		t.Error("the grant that was taken back is used again")
	}
	must(t, s.TakeBackCode(ctx, "code", "first", start)) // a repetition that comes late
	expectRevoked(t, s, second, false)
}

// A client repeats a redemption while the first one, which it knows nothing of, is taken back. It is told that this is
// not decided, and then gets a grant: the code is never refused.
func testTakeBackBesideCode(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	for i := range 30 {
		digest := fmt.Sprintf("code %d", i)
		code := addCode(t, s, digest, u, c)
		_, err := s.RedeemCode(t.Context(), digest, attempted(code, "first"))
		must(t, err)
		takeBackBeside(t, func() error { return s.TakeBackCode(t.Context(), digest, "first", start) }, func() error {
			_, err := s.RedeemCode(t.Context(), digest, attempted(code, "second"))
			return err
		})
	}
}

// takeBackBeside takes back a redemption while another one is tried again and again, which must succeed in the end.
func takeBackBeside(t *testing.T, takeBack, redeem func() error) {
	t.Helper()
	var failed error
	done := make(chan struct{})
	go func() {
		defer close(done)
		failed = takeBack()
	}()
	err := redeem()
	for ended := false; errors.Is(err, grant.ErrCodeUndecided) && !ended; err = redeem() {
		select {
		case <-done:
			ended = true
		default:
		}
	}
	<-done
	must(t, failed)
	must(t, err)
}

// expectRevoked checks whether a grant is revoked.
func expectRevoked(t *testing.T, s *store.Store, number int64, want bool) {
	t.Helper()
	g, err := s.GrantByNumber(t.Context(), number)
	must(t, err)
	same(t, "revoked", want, !g.RevokedAt.IsZero())
}

// If a server ends before it decides, the code counts as used: it may have responded.
func testUndecidedCode(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	code := addCode(t, s, "code", u, c)
	number, err := s.RedeemCode(t.Context(), "code", attempted(code, "first"))
	must(t, err)
	redeem := func(after time.Duration, want error) {
		t.Helper()
		g := attempted(code, "second")
		g.CreatedAt = start.Add(after)
		given, err := s.RedeemCode(t.Context(), "code", g)
		expect(t, "redeeming after "+after.String(), err, want)
		same(t, "grant of the code", number, given)
	}
	redeem(29*time.Second, grant.ErrCodeUndecided)
	redeem(30*time.Second, grant.ErrCodeUsed)
	must(t, s.TakeBackCode(t.Context(), "code", "first", start.Add(31*time.Second))) // too late
	redeem(32*time.Second, grant.ErrCodeUsed)
}

func testConfirmDevice(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	d := addDevice(t, s, "tv", c)
	approve(t, s, d, u)
	g := tokensOf(d, start)
	g.Attempt = "first"
	_, err := s.RedeemDevice(ctx, d.Digest, g)
	must(t, err)
	_, err = s.RedeemDevice(ctx, d.Digest, g)
	expect(t, "redeeming before the confirmation", err, grant.ErrCodeUndecided)
	must(t, s.ConfirmDevice(ctx, d.Digest, "first"))
	must(t, s.TakeBackDevice(ctx, d.Digest, "first")) // too late
	_, err = s.RedeemDevice(ctx, d.Digest, g)
	expect(t, "redeeming after the confirmation", err, grant.ErrCodeUsed)
}

func testTakeBackDevice(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	d := addDevice(t, s, "tv", c)
	approve(t, s, d, u)
	g := tokensOf(d, start)
	g.Attempt = "first"
	must(t, s.TakeBackDevice(ctx, d.Digest, "first")) // it was not committed
	first, err := s.RedeemDevice(ctx, d.Digest, g)
	must(t, err)
	must(t, s.TakeBackDevice(ctx, d.Digest, "second")) // of nobody
	_, err = s.RedeemDevice(ctx, d.Digest, g)
	expect(t, "redeeming before it is taken back", err, grant.ErrCodeUndecided)
	must(t, s.TakeBackDevice(ctx, d.Digest, "first"))
	second, err := s.RedeemDevice(ctx, d.Digest, tokensOf(d, start))
	must(t, err)
	same(t, "grant of the device", first, second)
}

func testTakeBackBesideDevice(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "tv")
	for i := range 30 {
		d := addDevice(t, s, fmt.Sprintf("tv %d", i), c)
		approve(t, s, d, u)
		g := tokensOf(d, start)
		g.Attempt = "first"
		_, err := s.RedeemDevice(t.Context(), d.Digest, g)
		must(t, err)
		takeBackBeside(t, func() error { return s.TakeBackDevice(t.Context(), d.Digest, "first") }, func() error {
			g.Attempt = "second"
			_, err := s.RedeemDevice(t.Context(), d.Digest, g)
			return err
		})
	}
}

// A code that was used twice stays used, also if the first attempt is taken back later (RFC 6749 section 4.1.2).
func testUndecidedDevice(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	d := addDevice(t, s, "tv", c)
	approve(t, s, d, u)
	g := tokensOf(d, start)
	g.Attempt = "first"
	_, err := s.RedeemDevice(ctx, d.Digest, g)
	must(t, err)
	later := tokensOf(d, start.Add(30*time.Second))
	_, err = s.RedeemDevice(ctx, d.Digest, later)
	expect(t, "redeeming after 30 seconds", err, grant.ErrCodeUsed)
	must(t, s.TakeBackDevice(ctx, d.Digest, "first")) // too late
	_, err = s.RedeemDevice(ctx, d.Digest, later)
	expect(t, "redeeming after it is taken back", err, grant.ErrCodeUsed)
}
