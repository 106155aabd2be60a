package statuslist_test

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/statuslist"
)

// revoked returns the indices whose bit is set.
func revoked(l *statuslist.List) []int64 {
	var all []int64
	for i := range int64(l.Size()) {
		if bit, _ := l.Revoked(i); bit {
			all = append(all, i)
		}
	}
	return all
}

// listOf returns a list in which the indices are revoked.
func listOf(size int, indices ...int64) *statuslist.List {
	l := statuslist.NewList(size)
	for _, i := range indices {
		l.Revoke(i)
	}
	return l
}

// vector returns testdata/status-list-1bit.json: the 1-bit vector of the draft's appendix "Test vectors
// for Status List encoding".
func vector(t testing.TB) (v struct {
	Size int     `json:"size"`
	Set  []int64 `json:"set"`
	List string  `json:"lst"`
}) {
	t.Helper()
	text, err := os.ReadFile("testdata/status-list-1bit.json")
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVector(t *testing.T) {
	v := vector(t)
	got, err := statuslist.Decode(v.List)
	if err != nil {
		t.Fatal(err)
	}
	if got.Size() != v.Size {
		t.Errorf("size %d, want %d", got.Size(), v.Size)
	}
	if diff := cmp.Diff(v.Set, revoked(got)); diff != "" {
		t.Errorf("revoked (-want +got):\n%s", diff)
	}
	again, err := statuslist.Decode(listOf(v.Size, v.Set...).Encode())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(v.Set, revoked(again)); diff != "" {
		t.Errorf("revoked in our own list (-want +got):\n%s", diff)
	}
}

// The example of the draft's section "Status List". Compressors may differ, so the encoded list is only
// decoded here.
func TestExample(t *testing.T) {
	compressed, err := hex.DecodeString("78dadbb918000217015d")
	if err != nil {
		t.Fatal(err)
	}
	got, err := statuslist.Decode(base64.RawURLEncoding.EncodeToString(compressed))
	if err != nil {
		t.Fatal(err)
	}
	want := []int64{0, 3, 4, 5, 7, 8, 9, 13, 15} // 1001 1101 1100 0101
	if diff := cmp.Diff(want, revoked(got)); diff != "" || got.Size() != 16 {
		t.Errorf("size %d, revoked (-want +got):\n%s", got.Size(), diff)
	}
	raw, err := zlib.NewReader(base64.NewDecoder(base64.RawURLEncoding, strings.NewReader(listOf(16, want...).Encode())))
	if err != nil {
		t.Fatal(err)
	}
	var bits bytes.Buffer
	if _, err := bits.ReadFrom(raw); err != nil || hex.EncodeToString(bits.Bytes()) != "b9a3" {
		t.Errorf("our bytes are %x (%v), want b9 a3", bits.Bytes(), err)
	}
}

// An index out of range is neither revoked nor valid.
func TestOutOfRange(t *testing.T) {
	l := listOf(16, -1, 16, 1<<62, 15)
	if diff := cmp.Diff([]int64{15}, revoked(l)); diff != "" {
		t.Errorf("revoked (-want +got):\n%s", diff)
	}
	for _, index := range []int64{-1, 16, 1 << 20, 1 << 62, -1 << 63} {
		if bit, ok := l.Revoked(index); bit || ok {
			t.Errorf("index %d: %v %v", index, bit, ok)
		}
	}
	if size := statuslist.NewList(9).Size(); size != 16 {
		t.Errorf("a list of 9 bits has %d", size)
	}
}

// compress returns data as the member lst.
func compress(t testing.TB, data []byte) string {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(b.Bytes())
}

// bad returns texts that are not encoded lists.
func bad(t testing.TB) map[string]string {
	t.Helper()
	good := listOf(1024, 17, 99).Encode()
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return map[string]string{
		"nothing":            "",
		"not base64":         "%%%",
		"padded":             good + "=",
		"standard base64":    "++//",
		"a line break in it": good[:4] + "\n" + good[4:],
		"not compressed":     encode([]byte("plain")),
		"cut off":            encode(raw[:len(raw)-1]),
		"wrong checksum":     encode(append(raw[:len(raw)-1:len(raw)-1], raw[len(raw)-1]^1)),
		"something after it": encode(append(raw[:len(raw):len(raw)], 0)),
		"one byte too long":  compress(t, make([]byte, statuslist.MaxSize/8+1)),
		"a bomb of 8 MiB":    compress(t, make([]byte, 8<<20)),
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, text := range bad(t) {
		if _, err := statuslist.Decode(text); !errors.Is(err, statuslist.ErrEncoding) {
			t.Errorf("%s: %v, want ErrEncoding", name, err)
		}
	}
	if l, err := statuslist.Decode(compress(t, make([]byte, statuslist.MaxSize/8))); err != nil ||
		l.Size() != statuslist.MaxSize {
		t.Errorf("the longest list: %v", err)
	}
}

// A decompression bomb needs no more memory than a list of MaxSize and the decompressor.
func TestDecodeLimitsMemory(t *testing.T) {
	bomb := compress(t, make([]byte, 8<<20))
	result := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			_, _ = statuslist.Decode(bomb)
		}
	})
	if got, limit := result.AllocedBytesPerOp(), int64(statuslist.MaxSize/8+192<<10); got > limit {
		t.Errorf("%d bytes for a bomb, want at most %d", got, limit)
	}
}

// A decoded list has at most MaxSize bits, and encodes to an equal list.
func FuzzDecode(f *testing.F) {
	f.Add(vector(f).List)
	f.Add(base64.RawURLEncoding.EncodeToString([]byte{0x78, 0xda, 0xdb, 0xb9, 0x18, 0x00, 0x02, 0x17, 0x01, 0x5d}))
	for _, text := range bad(f) {
		if len(text) < 1<<10 {
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := statuslist.Decode(text)
		if err != nil {
			if !errors.Is(err, statuslist.ErrEncoding) {
				t.Errorf("%v is not ErrEncoding", err)
			}
			return
		}
		if l.Size() > statuslist.MaxSize {
			t.Errorf("%d bits, more than %d", l.Size(), statuslist.MaxSize)
		}
		again, err := statuslist.Decode(l.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if l.Size() != again.Size() || l.Encode() != again.Encode() {
			t.Errorf("sizes %d and %d, or bits differ", l.Size(), again.Size())
		}
	})
}

// A list of 2^20 bits of which one in a hundred is set, at random, needs 10.6 KB by its entropy. Encoded it has less
// than 22 KB, so that ten of them have less than 250 KB in their tokens, which take 4 bytes for 3, compressed by gzip.
func TestSizeOfEncodedList(t *testing.T) {
	list, random := statuslist.NewList(statuslist.MaxSize), rand.New(rand.NewPCG(1, 2))
	for i := range int64(statuslist.MaxSize) {
		if random.IntN(100) == 0 {
			list.Revoke(i)
		}
	}
	text := list.Encode()
	if len(text) > 22_000 {
		t.Errorf("%d bytes", len(text))
	}
	decoded, err := statuslist.Decode(text)
	if err != nil || decoded.Digest() != list.Digest() {
		t.Errorf("it is decoded as another list: %v", err)
	}
}
