package adminapi

// EncodeCursor and DecodeCursor are encodeCursor and decodeCursor.
var (
	EncodeCursor = encodeCursor
	DecodeCursor = decodeCursor
)
