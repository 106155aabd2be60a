package strictjson_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/internal/strictjson"
)

type claims struct {
	Subject string          `json:"sub"`
	Keys    json.RawMessage `json:"k"`
	Status  struct {
		Index int64 `json:"idx"`
	} `json:"status"`
}

// Names are compared exactly, at every level, and members without a field are ignored (RFC 7519 sections 4
// and 10.1.1). U+017F and U+212A are the letters that encoding/json takes for s and k.
func TestNamesAreExact(t *testing.T) {
	for _, text := range []string{
		`{"sub":"a"}`,
		`{"sub":"a","SUB":"b"}`,
		`{"Sub":"b","sub":"a","sUB":7}`,
		`{"sub":"a","` + "\u017f" + `ub":"b","` + "\u212a" + `":1}`,
		`{"sub":"a","status":{"IDX":7}}`,
		`{"sub":"a","nested":[{"x":{"SUB":1}},null,true,1e400]}`,
		`{"\u0073ub":"a"}`,
	} {
		var got claims
		if err := strictjson.Unmarshal([]byte(text), &got); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(claims{Subject: "a"}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

// A repeated member is an error, however it is written, and wherever it is.
func TestRepeatedMembers(t *testing.T) {
	for _, text := range []string{
		`{"sub":"a","sub":"a"}`,
		`{"sub":"a","\u0073ub":"b"}`,
		`{"status":{"idx":1,"idx":2}}`,
		`{"other":[{"x":1,"x":2}]}`,
		`{"X":{"y":1,"y":2}}`,
	} {
		var got claims
		if err := strictjson.Unmarshal([]byte(text), &got); !errors.Is(err, strictjson.ErrRepeated) {
			t.Errorf("%s: %v", text, err)
		}
		if _, err := strictjson.Object([]byte(text)); !errors.Is(err, strictjson.ErrRepeated) {
			t.Errorf("%s: Object: %v", text, err)
		}
	}
}

// What is not JSON, is nested too deeply or has the wrong type is an error, which quotes nothing.
func TestErrors(t *testing.T) {
	const secret = "hunter2"
	for name, text := range map[string]string{
		"empty":          "",
		"cut":            `{"sub":"hunter2"`,
		"two values":     `{"sub":"hunter2"} {}`,
		"wrong type":     `{"sub":["hunter2"]}`,
		"number too big": `{"status":{"idx":99999999999999999999}}`,
		"deep":           strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000),
		"deep and cut":   strings.Repeat(`{"a":`, 500_000),
	} {
		var got claims
		if err := strictjson.Unmarshal([]byte(text), &got); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := strictjson.Object([]byte(`["hunter2"]`)); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("a list: %v", err)
	}
}

// Object returns members as they are written.
func TestObject(t *testing.T) {
	got, err := strictjson.Object([]byte(`{"x5t#S256": "a" ,"Keys":[ 1.0 ]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]json.RawMessage{"x5t#S256": json.RawMessage(`"a"`), "Keys": json.RawMessage(`[ 1.0 ]`)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
