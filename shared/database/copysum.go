package database

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// rowSum is a sum of rows that does not depend on their order.
type rowSum struct {
	rows      int64
	high, low uint64
}

// add adds a row, whose values are texts, numbers or nil.
func (s *rowSum) add(values []any) error {
	h := sha256.New()
	for _, value := range values {
		switch v := value.(type) {
		case nil:
			h.Write([]byte{'-'})
		case int64:
			h.Write(binary.BigEndian.AppendUint64([]byte{'n'}, uint64(v))) //nolint:gosec // its bits
		case string:
			h.Write(binary.BigEndian.AppendUint64([]byte{'t'}, uint64(len(v))))
			h.Write([]byte(v))
		default:
			return fmt.Errorf("a value of type %T", v)
		}
	}
	digest := h.Sum(nil)
	s.rows++
	s.high += binary.BigEndian.Uint64(digest)
	s.low += binary.BigEndian.Uint64(digest[8:])
	return nil
}
