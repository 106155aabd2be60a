package api

import (
	"cmp"
	"context"

	"github.com/hallpass-auth/hallpass/resourceserver/internal/items"
	"github.com/hallpass-auth/hallpass/shared/bearer"
)

// OwnedItem is an item in responses to administrators.
type OwnedItem struct {
	Item
	OwnerID string `json:"owner_id" doc:"Id of the user or client: the owner in paths" example:"usr_00000000-0000-4000-8000-000000000001"`
}

// ownedItem returns an item for a response.
func ownedItem(i items.Item) OwnedItem {
	return OwnedItem{itemOf(i, cmp.Or(i.Owner.Name, i.Owner.ID)), i.Owner.ID}
}

// OwnerPath is the part of a path that names an owner.
type OwnerPath struct {
	Owner string `path:"owner" minLength:"1" maxLength:"255" pattern:"^[ -~]+$" doc:"Id of the user or client" example:"usr_00000000-0000-4000-8000-000000000001"`
}

type ownedOutput struct {
	ETag string `header:"ETag" doc:"Entity tag of this state of the item"`
	Body OwnedItem
}

func ownedOutputOf(i items.Item) *ownedOutput { return &ownedOutput{etagOf(i), ownedItem(i)} }

type ownedListInput struct {
	ListInput
	Owner string `query:"owner" maxLength:"255" pattern:"^[ -~]*$" doc:"Only items of the user or client with this id"`
}

// OwnedItemList is a page of items of everybody.
type OwnedItemList struct {
	Items      []OwnedItem `json:"items" nullable:"false" doc:"The items, by owner and number"`
	NextCursor cursor      `json:"next_cursor,omitempty" doc:"The cursor of the next page; absent on the last one"`
}

type ownedListOutput struct{ Body OwnedItemList }

// listAll returns a page of the items of everybody.
func (h *itemHandlers) listAll(ctx context.Context, in *ownedListInput) (*ownedListOutput, error) {
	page, next, err := h.store.List(ctx, in.query(in.Owner))
	if err != nil {
		return nil, err
	}
	list := OwnedItemList{Items: make([]OwnedItem, len(page)), NextCursor: cursorOf(next)}
	for i, item := range page {
		list.Items[i] = ownedItem(item)
	}
	h.record(ctx, "list items", "owner", in.Owner, "items", len(page))
	return &ownedListOutput{list}, nil
}

type ownedReadInput struct {
	OwnerPath
	ReadInput
}

// readAny returns an item of anybody.
func (h *itemHandlers) readAny(ctx context.Context, in *ownedReadInput) (*ownedOutput, error) {
	item, err := h.store.Get(ctx, in.Owner, in.ItemID)
	if err != nil {
		return nil, err
	}
	h.record(ctx, "read item", "owner", in.Owner, "item_id", in.ItemID)
	return ownedOutputOf(item), in.checkRead(item.Tag)
}

type ownedReplaceInput struct {
	OwnerPath
	ReplaceInput
}

// replaceAny writes an item that somebody has written.
func (h *itemHandlers) replaceAny(ctx context.Context, in *ownedReplaceInput) (*ownedOutput, error) {
	draft, err := in.Body.draft()
	if err != nil {
		return nil, err
	}
	change := func(*items.Item) (items.Draft, error) { return draft, nil }
	return h.writeAny(ctx, in.Owner, in.ItemID, in.condition, change)
}

type ownedPatchInput struct {
	OwnerPath
	PatchInput
}

// patchAny changes fields of an item that somebody has written (RFC 7396).
func (h *itemHandlers) patchAny(ctx context.Context, in *ownedPatchInput) (*ownedOutput, error) {
	return h.writeAny(ctx, in.Owner, in.ItemID, in.condition, in.Body.apply)
}

func (h *itemHandlers) writeAny(
	ctx context.Context,
	owner string,
	number int64,
	condition items.Condition,
	change items.Change,
) (*ownedOutput, error) {
	existing := func(old *items.Item) (items.Draft, error) {
		if old == nil {
			return items.Draft{}, items.ErrNotFound
		}
		return change(old)
	}
	item, _, err := h.store.Write(ctx, items.Owner{ID: owner}, number, condition, existing, h.now())
	if err != nil {
		return nil, err
	}
	h.record(ctx, "write item", "owner", owner, "item_id", number)
	return ownedOutputOf(item), nil
}

// removeAny deletes an item that somebody has written.
func (h *itemHandlers) removeAny(ctx context.Context, in *ownedReadInput) (*struct{}, error) {
	if err := h.store.Delete(ctx, in.Owner, in.ItemID, in.condition); err != nil {
		return nil, err
	}
	h.record(ctx, "delete item", "owner", in.Owner, "item_id", in.ItemID)
	return nil, nil
}

// record logs what an administrator did.
func (h *itemHandlers) record(ctx context.Context, action string, attributes ...any) {
	claims, _ := bearer.FromContext(ctx)
	h.log.With(attributes...).InfoContext(ctx, "administrator",
		"action", action, "by", claims.Subject, "username", claims.Username, "client", claims.ClientID)
}
