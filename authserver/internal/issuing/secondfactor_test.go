package issuing_test

import (
	"errors"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
)

// Where all users need a second factor, the password grant is refused before the password is looked at.
func TestPasswordGrantWhereSecondFactorIsRequired(t *testing.T) {
	b := newBench(t)
	b.cfg.SecondFactors = account.SecondFactorPolicy{Everybody: true}
	for _, password := range []string{password, "a wrong one"} {
		_, err := issuing.New(b.cfg).Issue(t.Context(), issuing.Request{
			Client: b.app, Form: request("password", password), Address: "192.0.2.1",
		})
		var refused *oauth.Error
		if !errors.As(err, &refused) || refused.Code != oauth.CodeUnauthorizedClient {
			t.Errorf("%v, want unauthorized_client", err)
		}
	}
}
