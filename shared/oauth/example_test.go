package oauth_test

import (
	"errors"
	"fmt"

	"github.com/hallpass-auth/hallpass/shared/oauth"
)

func ExampleParseScope() {
	scope, err := oauth.ParseScope("profile items:read profile")
	fmt.Println(scope, len(scope), err)
	missing, ok := scope.Missing("items:read", "items:write")
	fmt.Println(missing, ok)
	_, err = oauth.ParseScope("items\u00a0read")
	fmt.Println(err)
	// Output:
	// profile items:read 2 <nil>
	// items:write true
	// invalid_scope: scope has a character that RFC 6749 section 3.3 does not allow
}

func ExampleError() {
	err := fmt.Errorf("redeeming a code: %w", oauth.ErrInvalidGrant.Describe("The code has expired"))
	fmt.Println(err)
	fmt.Println(errors.Is(err, oauth.ErrInvalidGrant))
	// Output:
	// redeeming a code: invalid_grant: The code has expired
	// true
}

func ExampleValidateIssuer() {
	fmt.Println(oauth.ValidateIssuer("https://login.example.com"))
	fmt.Println(oauth.ValidateIssuer("https://login.example.com/"))
	// Output:
	// <nil>
	// "https://login.example.com/" must not end in a slash
}
