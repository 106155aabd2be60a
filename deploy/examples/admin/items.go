package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// item is an item of the API.
type item struct {
	ItemID    json.Number `json:"item_id"`
	Owner     string      `json:"owner"`
	OwnerID   string      `json:"owner_id"`
	Title     string      `json:"title"`
	Note      string      `json:"note"`
	UpdatedAt time.Time   `json:"updated_at"`

	Tag string `json:"-"` // the ETag
}

// Path returns the path of the item at this website.
func (i item) Path() string { return "/items/" + url.PathEscape(i.OwnerID) + "/" + i.ItemID.String() }

// itemPage is a page of items.
type itemPage struct {
	Items      []item `json:"items"`
	NextCursor string `json:"next_cursor"`
}

// itemsAPI is the API of items.
type itemsAPI struct{ base string }

// apiError is a refusal of the API.
type apiError struct {
	status int
	detail string
}

func (e *apiError) Error() string { return fmt.Sprintf("%d: %s", e.status, e.detail) }

// explain returns what an error means to the user.
func explain(err error) string {
	var refused *apiError
	if !errors.As(err, &refused) {
		return "The API cannot be reached."
	}
	switch refused.status {
	case http.StatusForbidden:
		return "Only administrators may do this: users in the group admins."
	case http.StatusNotFound:
		return "The item does not exist any longer."
	case http.StatusPreconditionFailed:
		return "Somebody has changed the item since you saw it."
	}
	return refused.detail
}

// maxResponse limits a response of the API, in bytes.
const maxResponse = 16 << 20

// client calls the API.
var client = &http.Client{Timeout: 20 * time.Second}

// list returns a page of items. The query has the filters and the cursor.
func (a itemsAPI) list(ctx context.Context, token string, query url.Values) (page itemPage, err error) {
	_, err = a.call(ctx, token, http.MethodGet, "/admin/items?"+query.Encode(), "", nil, &page)
	return page, err
}

// get returns an item.
func (a itemsAPI) get(ctx context.Context, token, owner, number string) (i item, err error) {
	i.Tag, err = a.call(ctx, token, http.MethodGet, path(owner, number), "", nil, &i)
	return i, err
}

// draft is what an administrator writes.
type draft struct {
	Title string `json:"title"`
	Note  string `json:"note"`
}

// write writes an item that has a tag.
func (a itemsAPI) write(ctx context.Context, token, owner, number, tag string, d draft) error {
	_, err := a.call(ctx, token, http.MethodPut, path(owner, number), tag, d, nil)
	return err
}

// remove deletes an item.
func (a itemsAPI) remove(ctx context.Context, token string, d deletion) error {
	_, err := a.call(ctx, token, http.MethodDelete, path(d.owner, d.number), d.tag, nil, nil)
	return err
}

func path(owner, number string) string {
	return "/admin/items/" + url.PathEscape(owner) + "/" + url.PathEscape(number)
}

// call calls the API and reads the response into a value, unless it is nil. It returns the ETag.
func (a itemsAPI) call(ctx context.Context, token, method, path, tag string, body, into any) (string, error) {
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return "", err
		}
		sent = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, a.base+path, sent)
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if tag != "" {
		r.Header.Set("If-Match", tag)
	}
	resp, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	if err != nil {
		return "", err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		var problem struct{ Detail string }
		_ = json.Unmarshal(text, &problem) // without a detail, the status has to do
		return "", &apiError{resp.StatusCode, problem.Detail}
	}
	if into != nil {
		err = json.Unmarshal(text, into)
	}
	return resp.Header.Get("ETag"), err
}
