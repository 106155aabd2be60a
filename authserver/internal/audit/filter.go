package audit

import (
	"encoding/json"
	"time"
)

// Filter selects records. An empty field selects all.
type Filter struct {
	// Since and Until bound the time: at Since or later, and before Until.
	Since, Until time.Time
	// Actor and Subject are ids. About is the id of either.
	Actor, Subject, About []string
	// Event is the name of an event, or the beginning of names if it ends with *.
	Event string
	// Outcome is how it ended.
	Outcome Outcome
	// ClientID is the client that it was done with.
	ClientID string
	// Address is the IP address that it was done from.
	Address string
}

// EachID returns the filters of single ids that together select what the filter does. There are no more than the
// product of the numbers of its ids.
func (f Filter) EachID() []Filter {
	all := []Filter{f}
	for _, ids := range []func(*Filter) *[]string{
		func(f *Filter) *[]string { return &f.Actor },
		func(f *Filter) *[]string { return &f.Subject },
		func(f *Filter) *[]string { return &f.About },
	} {
		var next []Filter
		for _, one := range all {
			list := *ids(&one)
			for i := range list {
				*ids(&one) = list[i : i+1]
				next = append(next, one)
			}
			if len(list) == 0 {
				next = append(next, one)
			}
		}
		all = next
	}
	return all
}

// MaxPage is how many records a page has at most.
const MaxPage = 1000

// Page selects a part of the records that a filter selects.
type Page struct {
	// After is the id of the last record of the page before; empty for the first page.
	After string
	// Limit is how many records there are at most; 0 means MaxPage.
	Limit int
	// OldestFirst turns the order around, which is newest first.
	OldestFirst bool
}

// ParseDetails is the inverse of DetailsText. Text that is not the JSON of details gives details that are not equal to
// any that were recorded.
func ParseDetails(text string) map[string]string {
	details := map[string]string{}
	if err := json.Unmarshal([]byte(text), &details); err != nil {
		return map[string]string{"unreadable": text}
	}
	return details
}
