package api

import (
	"cmp"
	"context"

	"github.com/hallpass-auth/hallpass/shared/bearer"
)

// Item is an item in responses.
type Item struct {
	ItemID int64  `json:"item_id" doc:"Number of the item" example:"42"`
	Owner  string `json:"owner" doc:"Username of the caller if the token has the scope profile, else the id of the user or client" example:"john.doe"`
}

type itemInput struct {
	ItemID int64 `path:"item_id" doc:"Number of the item: any integer of 64 bits" example:"42"`
}

type itemOutput struct{ Body Item }

// readItem returns an item, which belongs to the caller.
func readItem(ctx context.Context, in *itemInput) (*itemOutput, error) {
	caller, _ := bearer.FromContext(ctx)
	return &itemOutput{Body: Item{ItemID: in.ItemID, Owner: cmp.Or(caller.Username, caller.Subject)}}, nil
}
