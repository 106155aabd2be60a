package web_test

import (
	"net/url"
	"testing"
	"time"
)

// RFC 7662 section 2.2: exp of a refresh token is its own expiry, even if an access token
// of the same grant expires later.
func TestIntrospectRefreshTokenExpiry(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	reader := s.addReader()
	end := s.clock().Add(24 * time.Hour)
	got := s.post(login("grant_type", "password"), reader)
	const pause = 59 * time.Minute // less than the idle timeout of refresh tokens
	for s.clock().Add(lifetime).Before(end) {
		s.expectOK("a token", got)
		s.wait(pause)
		refresh, _ := got.body["refresh_token"].(string)
		got = s.post(url.Values{
			"grant_type": {"refresh_token"}, "refresh_token": {refresh},
		}.Encode(), reader)
	}
	s.expectOK("the last token", got)
	refresh, _ := got.body["refresh_token"].(string)
	s.hide(refresh)

	response, said := s.ask("/introspect", refresh, reader)
	if said["active"] != true || said["exp"] != float64(end.Unix()) {
		t.Errorf("got %s, want active and exp %d", response.text, end.Unix())
	}
}
