package api

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/hallpass-auth/hallpass/resourceserver/internal/items"
	"github.com/hallpass-auth/hallpass/shared/bearer"
)

// itemHandlers has the handlers of items.
type itemHandlers struct {
	store *items.Store // nil if no items are stored: then none is written
	now   func() time.Time
	log   *slog.Logger
}

// Item is an item in responses. One that is not written has only a number and an owner.
type Item struct {
	ItemID    int64      `json:"item_id" doc:"Number of the item" example:"42"`
	Owner     string     `json:"owner" doc:"Username of the caller if the token has the scope profile, else the id of the user or client" example:"john.doe"`
	Title     string     `json:"title,omitempty" doc:"Title; absent if the item is not written" example:"Buy milk"`
	Note      string     `json:"note,omitempty" doc:"Note; absent if the item has no note" example:"Two bottles"`
	CreatedAt *time.Time `json:"created_at,omitempty" doc:"When the item was first written"`
	UpdatedAt *time.Time `json:"updated_at,omitempty" doc:"When the item was last written"`
}

// itemOf returns an item for a response.
func itemOf(i items.Item, owner string) Item {
	return Item{i.Number, owner, i.Title, i.Note, &i.CreatedAt, &i.UpdatedAt}
}

// ItemPath is the part of a path that names an item of the caller.
type ItemPath struct {
	ItemID int64 `path:"item_id" doc:"Number of the item: any integer of 64 bits" example:"42"`
}

// ReadInput is a request for an item, or to delete it.
type ReadInput struct {
	ItemPath
	Conditions
}

type itemOutput struct {
	ETag string `header:"ETag" doc:"Entity tag of this state of the item; absent if it is not written"`
	Body Item
}

// writtenOutput is an item after a write: 201 if it was not written before, else 200.
type writtenOutput struct {
	Status int
	ETag   string `header:"ETag" doc:"Entity tag of this state of the item"`
	Body   Item
}

// caller returns who calls, and the name by which responses call them.
func caller(ctx context.Context) (owner items.Owner, name string) {
	claims, _ := bearer.FromContext(ctx)
	name = cmp.Or(claims.Username, claims.Subject)
	return items.Owner{ID: claims.Subject, Name: claims.Username}, name
}

// read returns an item of the caller. One that is not written is empty.
func (h *itemHandlers) read(ctx context.Context, in *ReadInput) (*itemOutput, error) {
	owner, name := caller(ctx)
	item, err := h.get(ctx, owner.ID, in.ItemID)
	if errors.Is(err, items.ErrNotFound) {
		return &itemOutput{Body: Item{ItemID: in.ItemID, Owner: name}}, in.checkRead("")
	}
	if err != nil {
		return nil, err
	}
	return &itemOutput{etagOf(item), itemOf(item, name)}, in.checkRead(item.Tag)
}

// get returns a stored item, or ErrNotFound.
func (h *itemHandlers) get(ctx context.Context, owner string, number int64) (items.Item, error) {
	if h.store == nil {
		return items.Item{}, items.ErrNotFound
	}
	return h.store.Get(ctx, owner, number)
}

// etagOf returns the entity tag of an item: a strong one (RFC 9110 section 8.8.3).
func etagOf(i items.Item) string { return `"` + i.Tag + `"` }

// ListInput is a request for a page of items.
type ListInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"50" doc:"How many items to return at most"`
	Cursor cursor `query:"cursor" maxLength:"1024" doc:"The next_cursor of the page before; absent for the first page"`
	Title  string `query:"title" maxLength:"200" doc:"Only items whose title contains this text, in upper or lower case"`
}

// query returns what the input asks for.
func (in *ListInput) query(owner string) items.Query {
	return items.Query{Owner: owner, From: in.Cursor.from(), Text: in.Title, Limit: in.Limit}
}

// ItemList is a page of items.
type ItemList struct {
	Items      []Item `json:"items" nullable:"false" doc:"The items, by number"`
	NextCursor cursor `json:"next_cursor,omitempty" doc:"The cursor of the next page; absent on the last one"`
}

type listOutput struct{ Body ItemList }

// list returns a page of the items that the caller has written.
func (h *itemHandlers) list(ctx context.Context, in *ListInput) (*listOutput, error) {
	owner, name := caller(ctx)
	page, next, err := h.store.List(ctx, in.query(owner.ID))
	if err != nil {
		return nil, err
	}
	list := ItemList{Items: make([]Item, len(page)), NextCursor: cursorOf(next)}
	for i, item := range page {
		list.Items[i] = itemOf(item, name)
	}
	return &listOutput{list}, nil
}

// ItemDraft is an item in requests.
type ItemDraft struct {
	Title string `json:"title" minLength:"1" maxLength:"200" doc:"Title, without control characters" example:"Buy milk"`
	Note  string `json:"note,omitempty" maxLength:"10000" doc:"Note; without one, the item has no note" example:"Two bottles"`
}

// draft returns the draft, or what is wrong with it.
func (d ItemDraft) draft() (items.Draft, error) {
	draft := items.Draft{Title: d.Title, Note: d.Note}
	return draft, draft.Check()
}

type createInput struct {
	IdempotencyKey
	Body ItemDraft
}

type createdOutput struct {
	Location string `header:"Location" doc:"Path of the item"`
	ETag     string `header:"ETag" doc:"Entity tag of this state of the item"`
	Body     Item
}

// create writes a new item of the caller, and chooses its number.
func (h *itemHandlers) create(ctx context.Context, in *createInput) (*createdOutput, error) {
	draft, err := in.Body.draft()
	if err != nil {
		return nil, err
	}
	key, err := in.key(draft)
	if err != nil {
		return nil, err
	}
	owner, name := caller(ctx)
	item, err := h.store.Create(ctx, owner, draft, key, h.now())
	if err != nil {
		return nil, err
	}
	location := "/items/" + strconv.FormatInt(item.Number, 10)
	return &createdOutput{location, etagOf(item), itemOf(item, name)}, nil
}

// ReplaceInput is a request to write an item.
type ReplaceInput struct {
	ItemPath
	Conditions
	Body ItemDraft
}

// replace writes an item of the caller.
func (h *itemHandlers) replace(ctx context.Context, in *ReplaceInput) (*writtenOutput, error) {
	draft, err := in.Body.draft()
	if err != nil {
		return nil, err
	}
	return h.write(ctx, in.ItemID, in.condition, func(*items.Item) (items.Draft, error) { return draft, nil })
}

// PatchInput is a request to change fields of an item.
type PatchInput struct {
	ItemPath
	Conditions
	Body ItemPatch `contentType:"application/merge-patch+json"`
}

// patch changes fields of an item of the caller (RFC 7396). One that is not written is an empty object.
func (h *itemHandlers) patch(ctx context.Context, in *PatchInput) (*writtenOutput, error) {
	return h.write(ctx, in.ItemID, in.condition, in.Body.apply)
}

// write writes an item of the caller.
func (h *itemHandlers) write(
	ctx context.Context,
	number int64,
	condition items.Condition,
	change items.Change,
) (*writtenOutput, error) {
	owner, name := caller(ctx)
	item, created, err := h.store.Write(ctx, owner, number, condition, change, h.now())
	if err != nil {
		return nil, err
	}
	out := &writtenOutput{http.StatusOK, etagOf(item), itemOf(item, name)}
	if created {
		out.Status = http.StatusCreated
	}
	return out, nil
}

// remove deletes an item of the caller. It succeeds too if the item is not written.
func (h *itemHandlers) remove(ctx context.Context, in *ReadInput) (*struct{}, error) {
	owner, _ := caller(ctx)
	err := h.store.Delete(ctx, owner.ID, in.ItemID, in.condition)
	if errors.Is(err, items.ErrNotFound) {
		err = nil
	}
	return nil, err
}
