package assertion

import (
	"errors"
	"math"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4/json"
)

// audience is the claim aud: a text, or a list of texts (RFC 7519 section 4.1.3).
type audience []string

// UnmarshalJSON reads either form.
func (a *audience) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(a))
}

// check returns ErrInvalid unless the only audience is one of those expected. An assertion for
// several servers could be replayed by one of them at another.
func (a audience) check(expected ...string) error {
	switch {
	case len(a) == 0:
		return invalid("aud is missing")
	case len(a) > 1:
		return invalid("aud has several values")
	case !slices.Contains(expected, a[0]):
		return invalid("aud is another server")
	}
	return nil
}

// seconds is a time in seconds since 1970, which may have a fraction (RFC 7519 section 2).
type seconds float64

// maxSeconds is the year 9999.
const maxSeconds = 253402300799

// UnmarshalJSON refuses times that no assertion has.
func (s *seconds) UnmarshalJSON(data []byte) error {
	var n float64
	if err := json.Unmarshal(data, &n); err != nil {
		return err
	}
	if math.IsNaN(n) || n < 0 || n > maxSeconds {
		return errors.New("a time is out of range")
	}
	*s = seconds(n)
	return nil
}

func (s seconds) time() time.Time { return time.Unix(int64(s), 0) }

// checkTimes checks exp, iat and nbf. The expiry may be as far ahead as maxAhead.
func (c claims) checkTimes(now time.Time, maxAhead time.Duration) error {
	switch {
	case c.ExpiresAt == nil:
		return invalid("exp is missing")
	case !now.Before(c.ExpiresAt.time().Add(leeway)):
		return invalid("it has expired (exp)")
	case c.ExpiresAt.time().After(now.Add(maxAhead + leeway)):
		return invalid("exp is more than %v ahead", maxAhead)
	case c.IssuedAt != nil && c.IssuedAt.time().After(now.Add(leeway)):
		return invalid("iat is in the future")
	case c.IssuedAt != nil && !c.IssuedAt.time().Before(c.ExpiresAt.time()):
		return invalid("iat is not before exp")
	case c.NotBefore != nil && c.NotBefore.time().After(now.Add(leeway)):
		return invalid("nbf is in the future")
	}
	return nil
}
