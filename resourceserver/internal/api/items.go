package api

import (
	"context"

	"github.com/hallpass-auth/hallpass/shared/token"
)

// Item is an item as the API shows one.
type Item struct {
	ItemID int64  `json:"item_id" doc:"Number of the item" example:"42"`
	Owner  string `json:"owner" doc:"Username of the caller, or the id of a client that calls for itself" example:"john.doe"`
}

type itemInput struct {
	ItemID int64 `path:"item_id" doc:"Number of the item: any integer of 64 bits" example:"42"`
}

type itemOutput struct{ Body Item }

func readItem(_ context.Context, caller *token.Claims, in *itemInput) (*itemOutput, error) {
	owner := caller.Username
	if owner == "" {
		owner = caller.Subject
	}
	return &itemOutput{Body: Item{ItemID: in.ItemID, Owner: owner}}, nil
}
