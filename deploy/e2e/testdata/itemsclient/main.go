// Command itemsclient calls every operation of the API through the client that oapi-codegen generates from the
// API's own description. The environment has the API's URL, an access token of an administrator, and the id of
// that user. It prints the operations that worked.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"

	_ "github.com/oapi-codegen/runtime" // the generated code imports it
)

// must ends the program if there is an error, or the response has another status.
func must(err error, got, want int, what string) {
	if err != nil || got != want {
		log.Fatalf("%s: status %d, want %d; %v", what, got, want, err)
	}
}

// saw reports an operation that worked.
func saw(operation string) { fmt.Println("saw " + operation) }

func pointer[T any](value T) *T { return &value }

func main() {
	log.SetFlags(0)
	ctx := context.Background()
	authorize := func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+os.Getenv("TOKEN"))
		return nil
	}
	api, err := NewClientWithResponses(os.Getenv("API"), WithRequestEditorFn(authorize))
	if err != nil {
		log.Fatal(err)
	}
	me, err := api.GetUsersMeWithResponse(ctx)
	must(err, me.StatusCode(), 200, "user")
	if me.JSON200.Username != "ada" {
		log.Fatalf("user %+v", me.JSON200)
	}
	saw("GET /users/me")
	callItems(ctx, api)
	callAdmin(ctx, api, os.Getenv("OWNER"))
}

func callItems(ctx context.Context, api *ClientWithResponses) {
	read, err := api.GetItemsByItemIdWithResponse(ctx, 42, nil)
	must(err, read.StatusCode(), 200, "read")
	if read.JSON200.Title != nil {
		log.Fatalf("unwritten item %+v", read.JSON200)
	}
	saw("GET /items/{item_id}")

	put, err := api.PutItemsByItemIdWithResponse(ctx, 42, nil, ItemDraft{Title: "Buy milk"})
	must(err, put.StatusCode(), 201, "write")
	tag := put.HTTPResponse.Header.Get("ETag")
	if *put.JSON201.Title != "Buy milk" || tag == "" {
		log.Fatalf("written item %+v, ETag %q", put.JSON201, tag)
	}
	saw("PUT /items/{item_id}")

	patched, err := api.PatchItemsByItemIdWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, 42,
		&PatchItemsByItemIdParams{IfMatch: &tag}, ItemPatch{Note: pointer("Two bottles")})
	must(err, patched.StatusCode(), 200, "patch")
	stale, err := api.PutItemsByItemIdWithResponse(ctx, 42, &PutItemsByItemIdParams{IfMatch: &tag}, ItemDraft{Title: "Lost"})
	must(err, stale.StatusCode(), 412, "stale write")
	saw("PATCH /items/{item_id}")

	key := &PostItemsParams{IdempotencyKey: pointer(`"once"`)}
	first, err := api.PostItemsWithResponse(ctx, key, ItemDraft{Title: "Once"})
	must(err, first.StatusCode(), 201, "create")
	again, err := api.PostItemsWithResponse(ctx, key, ItemDraft{Title: "Once"})
	must(err, again.StatusCode(), 201, "create again")
	if again.JSON201.ItemId != first.JSON201.ItemId {
		log.Fatalf("made %+v, then %+v", first.JSON201, again.JSON201)
	}
	saw("POST /items")

	list, err := api.GetItemsWithResponse(ctx, &GetItemsParams{Limit: pointer(int64(1))})
	must(err, list.StatusCode(), 200, "list")
	if len(list.JSON200.Items) != 1 || list.JSON200.NextCursor == nil {
		log.Fatalf("page %+v", list.JSON200)
	}
	saw("GET /items")

	deleted, err := api.DeleteItemsByItemIdWithResponse(ctx, 42, nil)
	must(err, deleted.StatusCode(), 204, "delete")
	saw("DELETE /items/{item_id}")
}

func callAdmin(ctx context.Context, api *ClientWithResponses, owner string) {
	all, err := api.GetAdminItemsWithResponse(ctx, &GetAdminItemsParams{Owner: &owner})
	must(err, all.StatusCode(), 200, "list of all")
	if len(all.JSON200.Items) != 1 || all.JSON200.Items[0].OwnerId != owner {
		log.Fatalf("page %+v", all.JSON200)
	}
	number := all.JSON200.Items[0].ItemId
	saw("GET /admin/items")

	one := "/admin/items/{owner}/{item_id}"
	read, err := api.GetAdminItemsByOwnerByItemIdWithResponse(ctx, owner, number, nil)
	must(err, read.StatusCode(), 200, "read of another's")
	saw("GET " + one)

	put, err := api.PutAdminItemsByOwnerByItemIdWithResponse(ctx, owner, number, nil, ItemDraft{Title: "Changed"})
	must(err, put.StatusCode(), 200, "write of another's")
	saw("PUT " + one)

	patched, err := api.PatchAdminItemsByOwnerByItemIdWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, owner, number,
		nil, ItemPatch{Note: pointer("x")})
	must(err, patched.StatusCode(), 200, "patch of another's")
	saw("PATCH " + one)

	deleted, err := api.DeleteAdminItemsByOwnerByItemIdWithResponse(ctx, owner, number, nil)
	must(err, deleted.StatusCode(), 204, "delete of another's")
	gone, err := api.GetAdminItemsByOwnerByItemIdWithResponse(ctx, owner, number, nil)
	must(err, gone.StatusCode(), 404, "read after the deletion")
	saw("DELETE " + one)
}
