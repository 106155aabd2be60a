package record

// Page selects a part of a list that is sorted by a key, such as the username of users. The zero value selects all.
type Page struct {
	// After selects the entries whose key comes after this one; empty means from the beginning.
	After string
	// Prefix selects the entries whose key begins with it.
	Prefix string
	// Limit is the maximum number of entries; zero means all.
	Limit int
}
