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
	Actor, Subject, About string
	// Event is the name of an event, or the beginning of names if it ends with *.
	Event string
	// Outcome is how it ended.
	Outcome Outcome
	// ClientID is the client that it was done with.
	ClientID string
	// Address is the IP address that it was done from.
	Address string
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
