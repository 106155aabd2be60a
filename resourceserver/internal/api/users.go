package api

import (
	"context"

	"github.com/hallpass-auth/hallpass/shared/token"
)

// User is a user as the API shows one.
type User struct {
	Username string `json:"username" doc:"Name to log in with" example:"john.doe"`
	FullName string `json:"full_name" doc:"Name to show" example:"John Doe"`
}

type userOutput struct{ Body User }

func currentUser(_ context.Context, caller *token.Claims, _ *struct{}) (*userOutput, error) {
	return &userOutput{Body: User{Username: caller.Username, FullName: caller.Name}}, nil
}
