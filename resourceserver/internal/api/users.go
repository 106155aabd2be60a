package api

import (
	"context"

	"github.com/hallpass-auth/hallpass/shared/bearer"
)

// User is a user in responses.
type User struct {
	Username string `json:"username" doc:"Name to log in with" example:"john.doe"`
	FullName string `json:"full_name" doc:"Name to show" example:"John Doe"`
}

type userOutput struct{ Body User }

// currentUser returns the user of the token.
func currentUser(ctx context.Context, _ *struct{}) (*userOutput, error) {
	claims, _ := bearer.FromContext(ctx)
	return &userOutput{Body: User{Username: claims.Username, FullName: claims.Name}}, nil
}
