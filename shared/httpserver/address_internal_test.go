package httpserver

import (
	"strings"
	"testing"
)

func TestOwnAddress(t *testing.T) {
	for _, tt := range []struct{ address, want, problem string }{
		{"127.0.0.1:9001", "127.0.0.1:9001", ""},
		{":9001", ":9001", ""},
		{"localhost:9001", "localhost:9001", ""},
		{"127.0.0.0/8:9001", "127.0.0.1:9001", ""},
		{"255.255.255.255/32:9001", "", "no address in 255.255.255.255/32"},
		{"127.0.0.1/99:9001", "", `"127.0.0.1/99" is not a network`},
		{"a/b:9001", "", `"a/b" is not a network`},
	} {
		got, err := ownAddress("--admin-listen", tt.address)
		switch {
		case tt.problem == "" && (err != nil || got != tt.want):
			t.Errorf("ownAddress(%q) = %q, %v; want %q", tt.address, got, err, tt.want)
		case tt.problem != "" && (err == nil || !strings.Contains(err.Error(), tt.problem)):
			t.Errorf("ownAddress(%q): error %v, want %q", tt.address, err, tt.problem)
		}
	}
}
