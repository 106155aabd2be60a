package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strconv"
)

// Genesis is the hash before the first record.
var Genesis = hex.EncodeToString(make([]byte, sha256.Size))

// chainVersion is hashed first, so that a later encoding cannot give the same hash.
const chainVersion = "hallpass audit 1"

// Link is the place of a record in the chain. Each hash depends on all records before it, so that none of them can be
// changed, removed or moved without a change of all hashes that follow.
type Link struct {
	// Number counts the records from 1.
	Number int64
	// RecordID is the id of the record.
	RecordID string
	// Hash is the SHA-256, in hexadecimal, of the hash before and the record.
	Hash string
}

// HashOf returns the hash of a record at a place of the chain: the SHA-256, in hexadecimal, of the fields below, each
// as a netstring, which is its length in bytes, a colon, its bytes, and a comma. So different fields never give the
// same bytes. deploy/docs/audit.md describes it for other programs.
func HashOf(previous string, number int64, r Record) (string, error) {
	details, err := r.DetailsText()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, field := range []string{
		chainVersion, previous, strconv.FormatInt(number, 10),
		r.ID, strconv.FormatInt(r.At.Unix(), 10), r.Event, string(r.Outcome),
		string(r.Actor.Kind), r.Actor.ID, r.Subject.Kind, r.Subject.ID,
		r.Actor.Address, r.Actor.ClientID, r.Actor.RequestID, strconv.FormatInt(r.Count, 10), details,
	} {
		writeNetstring(sum, field)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func writeNetstring(sum hash.Hash, text string) {
	sum.Write([]byte(strconv.Itoa(len(text)) + ":" + text + ","))
}
